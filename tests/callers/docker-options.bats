# shellcheck disable=SC2016 # texts for the inner shell
# Docker, from Debian's packages: what the options of `docker run` do in the container, and `docker build`.
# Needs: dockerd docker containerd runc crun jq python3 iptables
load callers
load docker
CALLER=docker

setup_file() { begin_docker; }

# inside_status CONTAINER FIELD, and field FIELD OPTION..., in a new container: of /proc/self/status.
inside_status() { docker exec "$1" sed -n "s/^$2:[[:space:]]*//p" /proc/self/status; }
field() { drun --rm "${@:2}" "$IMAGE" sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }

@test "--init" {
    steps() {
        drun -d --name c1 --init "$IMAGE" sh -c 'sh -c "sleep 0.01 & echo \$!" >/orphan; echo ready; sleep 1000; true'
        wait_for 10 logged c1 ready
        has docker-init docker exec c1 cat /proc/1/cmdline
        wait_for 10 docker exec c1 sh -c '[ ! -e "/proc/$(cat /orphan)" ]'
        docker stop c1
        is 'exited 143' state_of c1
    }
    compare '--init'
}

@test "--read-only, --tmpfs" {
    steps() {
        ends 1 drun --rm --read-only "$IMAGE" touch /x
        drun --rm --read-only --tmpfs /scratch:size=1m,mode=1777,noexec "$IMAGE" sh -c 'touch /scratch/x
            [ "$(stat -c %a /scratch)" = 1777 ] && grep -q " /scratch tmpfs .*noexec.*size=1024k" /proc/mounts'
        drun --rm --mount type=tmpfs,dst=/scratch,tmpfs-size=1048576 "$IMAGE" sh -c 'touch /scratch/x; ! dd if=/dev/zero of=/scratch/y bs=1M count=2'
    }
    compare '--read-only, --tmpfs'
}

@test "volumes" {
    steps() {
        local dir=$BATS_TEST_TMPDIR/$RT
        mkdir -p "$dir"
        echo outside >"$dir/file"
        is outside drun --rm -v "$dir:/mnt" "$IMAGE" cat /mnt/file
        drun --rm -v "$dir:/mnt" "$IMAGE" touch /mnt/new
        [ -e "$dir/new" ]
        ends 1 drun --rm -v "$dir:/mnt:ro" "$IMAGE" touch /mnt/x
        is outside drun --rm -v "$dir/file:/etc/other:ro" "$IMAGE" cat /etc/other
        docker volume create "v-$RT"
        drun --rm -v "v-$RT:/etc" "$IMAGE" sh -c 'grep -q user /etc/passwd && echo kept >/etc/x'
        is kept drun --rm -v "v-$RT:/data" "$IMAGE" cat /data/x
        forever c1 -v "v-$RT:/data"
        is kept drun --rm --volumes-from c1 "$IMAGE" cat /data/x
        docker rm -f c1
        docker volume rm "v-$RT"
        ends 125 drun --rm --mount type=bind,src=/no/such,dst=/x "$IMAGE" true
    }
    compare 'volumes'
}

@test "volumes: propagation" {
    steps() {
        local dir=$BATS_TEST_TMPDIR/$RT
        mkdir -p "$dir/sub"
        mount -t tmpfs t "$dir" && mkdir "$dir/sub"
        mount --make-shared "$dir"
        forever c1 --mount "type=bind,src=$dir,dst=/slave,bind-propagation=rslave" --mount "type=bind,src=$dir,dst=/private"
        mount -t tmpfs later "$dir/sub"
        touch "$dir/sub/later"
        docker exec c1 test -e /slave/sub/later
        ends 1 docker exec c1 test -e /private/sub/later
        docker rm -f c1
        umount "$dir/sub"
        forever c2 --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
            --mount "type=bind,src=$dir,dst=/shared,bind-propagation=rshared"
        docker exec c2 sh -c 'mount -t tmpfs inner /shared/sub && touch /shared/sub/inner'
        test -e "$dir/sub/inner"
        docker rm -f c2
        umount -R "$dir"
    }
    compare 'volumes: propagation'
}

@test "--device, --device-cgroup-rule" {
    steps() {
        ends 1 drun --rm "$IMAGE" test -e /dev/other
        drun --rm --device /dev/full:/dev/other "$IMAGE" sh -c '[ -c /dev/other ] && ! echo x >/dev/other; head -c 1 /dev/other | od -c | grep -q 0'
        ends 1 drun --rm --device /dev/kmsg:/dev/kmsg:r "$IMAGE" sh -c ': >/dev/kmsg'
        ends 1 drun --rm --cap-add MKNOD "$IMAGE" sh -c 'mknod /dev/k c 1 11 && : >/dev/k'
        drun --rm --cap-add MKNOD --device-cgroup-rule 'c 1:11 rmw' "$IMAGE" sh -c 'mknod /dev/k c 1 11 && : >/dev/k'
    }
    compare '--device, --device-cgroup-rule'
}

@test "--cap-add, --cap-drop" {
    steps() {
        is 00000000a80425fb field CapEff
        is 00000000a82425fb field CapEff --cap-add SYS_ADMIN
        is 0000000000000000 field CapEff --cap-drop ALL
        is 0000000000000001 field CapBnd --cap-drop ALL --cap-add CHOWN
        is 0000000000000000 field CapEff --user 1000
        is 00000000a80425fb field CapBnd --user 1000
    }
    compare '--cap-add, --cap-drop'
}

@test "--security-opt seccomp" {
    steps() {
        is 2 field Seccomp
        is 0 field Seccomp --security-opt seccomp=unconfined
        ends 1 drun --rm --cap-add SYS_ADMIN --security-opt apparmor=unconfined --security-opt "seccomp=$BATS_TEST_TMPDIR/none.json" "$IMAGE" mkdir /x
        ends 0 drun --rm "$IMAGE" mkdir /x
        ends 1 drun --rm "$IMAGE" unshare -U true
    }
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}' >"$BATS_TEST_TMPDIR/none.json"
    compare '--security-opt seccomp'
}

@test "--security-opt no-new-privileges" {
    steps() {
        is 0 field NoNewPrivs
        is 1 field NoNewPrivs --security-opt no-new-privileges
        is 1000 drun --rm --user 1000 --security-opt no-new-privileges "$IMAGE" sh -c 'id -u'
    }
    compare '--security-opt no-new-privileges'
}

@test "--privileged" {
    steps() {
        drun --rm --privileged "$IMAGE" sh -c 'mount -t tmpfs x /mnt && touch /sys/x 2>/dev/null; [ -w /sys/kernel ] && [ -c /dev/kmsg ] && : </dev/kmsg'
        is 0 field Seccomp --privileged
    }
    compare '--privileged'
}

@test "--pid, --ipc, --net, --uts, --cgroupns of another container and of the machine" {
    steps() {
        local kind
        forever c1 --ipc shareable
        for kind in pid ipc net; do
            [ "$(drun --rm "--$kind" container:c1 "$IMAGE" readlink "/proc/self/ns/$kind")" = "$(docker exec c1 readlink "/proc/self/ns/$kind")" ]
            [ "$(drun --rm "$IMAGE" readlink "/proc/self/ns/$kind")" != "$(docker exec c1 readlink "/proc/self/ns/$kind")" ]
        done
        has 'sh -c trap' drun --rm --pid container:c1 "$IMAGE" ps
        for kind in pid ipc net uts; do
            [ "$(drun --rm "--$kind" host "$IMAGE" readlink "/proc/self/ns/$kind")" = "$(readlink "/proc/self/ns/$kind")" ]
        done
        [ "$(drun --rm --cgroupns host "$IMAGE" readlink /proc/self/ns/cgroup)" = "$(readlink /proc/self/ns/cgroup)" ]
        [ "$(drun --rm --cgroupns private "$IMAGE" readlink /proc/self/ns/cgroup)" != "$(readlink /proc/self/ns/cgroup)" ]
        is lo drun --rm --net none "$IMAGE" ls /sys/class/net
    }
    compare '--pid, --ipc, --net, --uts, --cgroupns'
}

@test "networks: names, ports, connect" {
    steps() {
        docker network create "net-$RT" >/dev/null
        drun -d --name c1 --net "net-$RT" -p 127.0.0.1:8080:80 "$IMAGE" sh -c 'mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www'
        wait_for 10 drun --rm --net "net-$RT" "$IMAGE" wget -q -O /dev/null http://c1/
        is served drun --rm --net "net-$RT" "$IMAGE" wget -q -O - http://c1/
        is served drun --rm --net host "$IMAGE" wget -q -O - http://127.0.0.1:8080/
        forever c2
        docker network connect "net-$RT" c2
        is served docker exec c2 wget -q -O - http://c1/
        docker network disconnect "net-$RT" c2
        ends 1 docker exec c2 wget -q -O - http://c1/
        docker rm -f c1 c2
        docker network rm "net-$RT"
    }
    compare 'networks'
}

# oom_told NAME SINCE
oom_told() { docker events --since "$2" --until "$(date +%s)" --filter "container=$1" --filter event=oom | grep -q .; }

@test "--memory: an OOM kill is told" {
    steps() {
        local since
        ends 137 drun --rm --memory 16m --memory-swap 16m "$IMAGE" sh -c 'x=x; while :; do x=$x$x; done'
        # The shim may not come to look before the cgroup goes with the container: this one lives on until it has.
        since=$(date +%s)
        drun -d --name c1 --memory 16m --memory-swap 16m "$IMAGE" sh -c '(x=x; while :; do x=$x$x; done); exec sleep 1000'
        wait_for 10 oom_told c1 "$since"
        docker kill c1
        is true inspect c1 .State.OOMKilled
        forever c2 --memory 32m --memory-reservation 16m --memory-swap 48m
        is 33554432 limit c2 memory memory.limit_in_bytes memory.max
        is 16777216 limit c2 memory memory.soft_limit_in_bytes memory.low
        docker stop c2
        is false inspect c2 .State.OOMKilled
    }
    compare '--memory, OOMKilled'
}

@test "--cpus, --cpu-shares, --cpuset-cpus, --pids-limit" {
    steps() {
        forever c1 --cpus 0.5 --cpuset-cpus 0 --pids-limit 20 --cpu-shares 512
        has 50000 limit c1 cpu cpu.cfs_quota_us cpu.max
        [ ! -d /sys/fs/cgroup/cpu ] || is 512 limit c1 cpu cpu.shares -
        is 20 limit c1 pids pids.max pids.max
        is 0 inside_status c1 Cpus_allowed_list
        ends 2 docker exec c1 sh -c 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 5 & done 2>/dev/null'
    }
    compare '--cpus, --cpu-shares, --cpuset-cpus, --pids-limit'
}

@test "--ulimit, --sysctl, --shm-size, --oom-score-adj" {
    steps() {
        is '100 200' drun --rm --ulimit nofile=100:200 "$IMAGE" sh -c 'echo $(ulimit -Sn) $(ulimit -Hn)'
        is 1000 drun --rm --sysctl net.core.somaxconn=1000 "$IMAGE" cat /proc/sys/net/core/somaxconn
        is 70000 drun --rm --sysctl kernel.msgmax=70000 "$IMAGE" cat /proc/sys/kernel/msgmax
        has size=1024k drun --rm --shm-size 1m "$IMAGE" grep /dev/shm /proc/mounts
        is 500 drun --rm --oom-score-adj 500 "$IMAGE" cat /proc/self/oom_score_adj
        ends 125 drun --rm --sysctl kernel.domainname=x "$IMAGE" true
    }
    compare '--ulimit, --sysctl, --shm-size, --oom-score-adj'
}

@test "--hostname, --user, --workdir, --env, --entrypoint, --add-host, --dns, --group-add" {
    steps() {
        is 'other other' drun --rm --hostname other "$IMAGE" sh -c 'echo $(hostname) $(cat /etc/hostname)'
        is example.org drun --rm --domainname example.org "$IMAGE" cat /proc/sys/kernel/domainname
        is 'uid=1000(user) gid=1000(user) groups=1000(user),2000(extra)' drun --rm --user user "$IMAGE" id
        is 'uid=1 gid=7 groups=7,2000(extra)' drun --rm --user 1:7 --group-add extra "$IMAGE" id
        is /some/new/dir drun --rm --workdir /some/new/dir "$IMAGE" pwd
        is 'a b=c /home' drun --rm --user user --env X='a b=c' "$IMAGE" sh -c 'echo "$X $HOME"'
        is 'other words' drun --rm --entrypoint echo "$IMAGE" other words
        has '10.1.2.3	somewhere' drun --rm --add-host somewhere:10.1.2.3 "$IMAGE" cat /etc/hosts
        has 'nameserver 10.1.2.4' drun --rm --dns 10.1.2.4 "$IMAGE" cat /etc/resolv.conf
        ends 125 drun --rm --user nosuchuser "$IMAGE" true
    }
    compare '--hostname, --user, --workdir, --env, ...'
}

@test "--cgroup-parent" {
    steps() {
        drun -d --name c1 --cgroup-parent /other "$IMAGE" sleep 1000
        grep -q "/other/$(inspect c1 .Id)" "/proc/$(inspect c1 .State.Pid)/cgroup"
        docker rm -f c1
        find /sys/fs/cgroup -depth -path '*/other*' -type d -exec rmdir {} +
    }
    compare '--cgroup-parent'
}

# The builders know no runtime: docker's own takes the default one, BuildKit the program `runc`.
default_runtime() {
    jq --arg rt "$1" '."default-runtime" = $rt' "$WORLD/daemon.json" >"$WORLD/daemon.json.new"
    mv "$WORLD/daemon.json.new" "$WORLD/daemon.json"
    kill -HUP "$(cat "$WORLD/docker.pid")"
    wait_for 10 eval '[ "$(docker info --format "{{.DefaultRuntime}}")" = '"$1"' ]'
}

context() {
    mkdir -p "$1"
    echo copied >"$1/file"
    cat >"$1/Dockerfile" <<-END
	FROM $IMAGE
	ARG NAME=none
	RUN echo built by \$NAME >/built && mkdir /work && chown 1000:1000 /work
	COPY file /file
	WORKDIR /work
	USER 1000
	RUN id -u >uid && cat /file >>uid
	RUN ["/bin/sh", "-c", "[ -w /dev/null ] && [ ! -w / ]"]
	CMD ["cat", "/built", "uid"]
	END
}

@test "build" {
    steps() {
        default_runtime "t-$RT"
        docker build --no-cache --build-arg "NAME=$RT" -t "built:$RT" "$BATS_TEST_TMPDIR/context"
        is "built by $RT"$'\n1000\ncopied' docker run --rm "built:$RT"
        printf 'FROM %s\nRUN exit 9\n' "$IMAGE" >"$BATS_TEST_TMPDIR/Dockerfile"
        ends 9 docker build --no-cache - <"$BATS_TEST_TMPDIR/Dockerfile"
        docker rmi "built:$RT"
    }
    context "$BATS_TEST_TMPDIR/context"
    compare 'build'
    default_runtime drupe
}

@test "build with BuildKit" {
    steps() {
        printf '#!/bin/sh\necho called >>"%s"\nexec %s "$@"\n' "$BATS_TEST_TMPDIR/$RT.called" "$(command -v "$RT")" >"$WORLD/bin/runc"
        chmod +x "$WORLD/bin/runc"
        export DOCKER_BUILDKIT=1
        docker build --progress plain --no-cache --build-arg "NAME=$RT" -t "built:$RT" "$BATS_TEST_TMPDIR/context"
        is "built by $RT"$'\n1000\ncopied' drun --rm "built:$RT"
        printf 'FROM %s\nRUN exit 9\n' "$IMAGE" >"$BATS_TEST_TMPDIR/Dockerfile"
        ends 1 docker build --no-cache --progress plain - <"$BATS_TEST_TMPDIR/Dockerfile"
        [[ $output == *'exit code: 9'* ]]
        grep -q called "$BATS_TEST_TMPDIR/$RT.called"
        docker rmi "built:$RT"
    }
    context "$BATS_TEST_TMPDIR/context"
    compare 'build with BuildKit'
}
