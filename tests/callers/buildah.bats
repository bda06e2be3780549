# shellcheck disable=SC2016 # texts for the inner shell
# buildah as root, from Debian's packages: containers by `--isolation oci`.
# Needs: buildah runc crun jq python3
load callers
load podman

setup_file() {
    start_podman
    buildah pull -q "docker-archive:$WORLD/busybox.tar"
}

CALLER=buildah

buildah() { timeout -k 5 120 /usr/bin/buildah "$@"; }
# brun [OPTION]... NAME COMMAND...
brun() { buildah run --isolation oci --runtime "$(runtime)" "$@"; }
runtime() { type -P "$RT"; }

# buildah deletes its containers itself.
after_steps() {
    buildah rm --all >/dev/null
    [ -z "$(find /run/runc /run/crun /run/drupe -mindepth 1 -maxdepth 1 -type d 2>/dev/null)" ]
}

@test "from, run, commit" {
    steps() {
        buildah from --name c "$IMAGE"
        is hello brun c -- echo hello
        is typed brun c -- cat <<<typed
        brun c -- sh -c 'echo new >/new'
        is new brun c -- cat /new
        ends 7 brun c -- sh -c 'exit 7'
        buildah config --cmd 'cat /new' --env A=value --workingdir /tmp --user 1000:2000 c
        is 'value /tmp 1000 2000' brun c -- sh -c 'echo $A $PWD $(id -u) $(id -g)'
        buildah commit -q c "made-$RT"
        buildah rmi "made-$RT"
    }
    compare 'from, run, commit'
}

@test "run: what can't be started" {
    steps() {
        buildah from --name c "$IMAGE"
        ends 1 brun c -- nosuchprogram
        ends 1 brun c -- /etc/notexec
        is still brun c -- echo still
    }
    compare 'run: what can not be started'
}

@test "run --terminal" {
    steps() {
        buildah from --name c "$IMAGE"
        on_terminal expect='# ' send='tty; exit 5\n' -- /usr/bin/buildah run --isolation oci --runtime "$(runtime)" --terminal --env 'PS1=# ' c sh |
            tee /dev/stderr >"$BATS_TEST_TMPDIR/$RT.out"
        grep -q /dev/pts/ "$BATS_TEST_TMPDIR/$RT.out"
        grep -q 'status 5' "$BATS_TEST_TMPDIR/$RT.out"
    }
    compare 'run --terminal'
}

@test "run: options" {
    steps() {
        local dir=$BATS_TEST_TMPDIR/$RT
        mkdir "$dir" && echo data >"$dir/f"
        buildah from --name c "$IMAGE"
        is data brun -v "$dir:/v:ro" c -- sh -c 'cat /v/f; ! touch /v/g 2>/dev/null'
        has tmpfs brun --mount type=tmpfs,dst=/scratch c -- grep /scratch /proc/mounts
        is name brun --hostname name c -- hostname
        has 1 brun --cap-add CAP_NET_ADMIN c -- sh -c 'ip link set lo down && echo 1'
        is 0000000000000000 brun --cap-drop all c -- awk '/CapEff/ { print $2 }' /proc/self/status
        is "$(readlink /proc/self/ns/net)" brun --network host c -- readlink /proc/self/ns/net
        is "$(readlink /proc/self/ns/pid)" brun --pid host c -- readlink /proc/self/ns/pid
    }
    compare 'run: volumes, capabilities, namespaces'
}

@test "a user namespace" {
    steps() {
        buildah from --name c --userns-uid-map 0:100000:5000 --userns-gid-map 0:200000:5000 "$IMAGE"
        is '0 100000 5000 0 200000 5000' brun c -- sh -c 'echo $(cat /proc/self/uid_map /proc/self/gid_map)'
    }
    compare 'from --userns-uid-map'
}

@test "the environment of docs/podman.md" {
    steps() {
        eval "$(snippet podman.md buildah)"
        [ "$RT" = drupe ] || BUILDAH_RUNTIME=$(runtime)
        buildah from --name c "$IMAGE"
        is "$BUILDAH_ISOLATION $BUILDAH_RUNTIME" echo "oci $(runtime)"
        is hello buildah run c -- echo hello
        # Is it really this one?
        BUILDAH_RUNTIME=/bin/false
        ends 1 buildah run c -- echo hello
    }
    compare 'BUILDAH_ISOLATION, BUILDAH_RUNTIME'
}

@test "build" {
    steps() {
        local dir=$BATS_TEST_TMPDIR/$RT
        mkdir "$dir" && echo content >"$dir/file"
        cat >"$dir/Containerfile" <<-END
		FROM $IMAGE
		COPY file /copied
		RUN echo made of \$(cat /copied) >/made
		RUN --mount=type=bind,src=file,dst=/bound cmp /bound /copied
		RUN test -c /dev/null && echo seen by \$(id -un) >>/made
		END
        ends 0 buildah build --isolation oci --runtime "$(runtime)" --pull-never --network none -t "built-$RT" "$dir"
        [[ $output != *warning* ]]
        buildah from --pull-never --name c "built-$RT"
        is 'made of content
seen by root' brun c -- cat /made
        ends 3 buildah build --isolation oci --runtime "$(runtime)" --pull-never -f - "$dir" <<<"FROM $IMAGE
RUN exit 3"
    }
    compare 'build'
}
