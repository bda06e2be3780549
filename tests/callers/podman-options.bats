# shellcheck disable=SC2016 # texts for the inner shell
# podman as root, from Debian's packages: what `podman run` says about files, rights, limits and namespaces of a container.
# Needs: podman conmon runc crun jq
load callers
load podman

CG=/sys/fs/cgroup

@test "--read-only, --tmpfs" {
    steps() {
        is 'tmp
run' prun --read-only "$IMAGE" sh -c 'touch /x 2>/dev/null || touch /tmp/x && echo tmp; touch /run/x && echo run'
        ends 1 prun --read-only --read-only-tmpfs=false "$IMAGE" touch /tmp/x
        has 'size=1024k,mode=700' prun --tmpfs /mnt:size=1m,mode=700 "$IMAGE" grep /mnt /proc/mounts
        has 'size=2048k' prun --shm-size 2m "$IMAGE" grep /dev/shm /proc/mounts
    }
    compare '--read-only, --tmpfs'
}

@test "volumes" {
    steps() {
        local dir=$BATS_TEST_TMPDIR/$RT
        mkdir "$dir"
        echo data >"$dir/f"
        is data prun -v "$dir:/v:ro" "$IMAGE" sh -c 'cat /v/f; ! touch /v/g 2>/dev/null'
        [ ! -e "$dir/g" ]
        prun -v "$dir:/v" "$IMAGE" sh -c 'echo new >/v/g'
        is new cat "$dir/g"
        ends 126 prun -v "$dir:/v:noexec" "$IMAGE" sh -c 'cp /bin/busybox /v/true && /v/true'
        is new prun --mount "type=bind,src=$dir,dst=/v,ro=true" "$IMAGE" cat /v/g
        has upper prun -v "$dir:/v:O" "$IMAGE" sh -c 'touch /v/upper; ls /v'
        [ ! -e "$dir/upper" ]
        has 'master:' prun -v "$dir:/v:rslave" "$IMAGE" grep ' /v ' /proc/self/mountinfo
        pod run --net none --name c -v "named-$RT:/v" "$IMAGE" sh -c 'echo kept >/v/n'
        is kept prun --volumes-from c "$IMAGE" cat /v/n
        is 1000 prun -v "named-$RT:/v:U" --user 1000 "$IMAGE" stat -c %u /v
        has bin prun --mount "type=image,src=$IMAGE,dst=/i" "$IMAGE" ls /i
        pod rm c
        pod volume rm "named-$RT"
    }
    compare 'volumes'
}

@test "--rootfs" {
    steps() {
        local dir=$BATS_TEST_TMPDIR/rootfs-$RT
        mkdir "$dir" && tar -C "$dir" -xf <(tar -xOf "$WORLD/busybox.tar" --wildcards '*/layer.tar')
        is from-rootfs prun --rootfs "$dir" /bin/echo from-rootfs
        is overlaid prun --rootfs "$dir:O" /bin/sh -c 'echo overlaid >/x; cat /x'
        [ ! -e "$dir/x" ]
    }
    compare '--rootfs'
}

@test "--device" {
    steps() {
        has ok prun --device /dev/zero:/dev/nought:r "$IMAGE" sh -c 'head -c 1 /dev/nought >/dev/null && echo ok'
        has 'not permitted' prun --device /dev/fuse:/dev/fuse:r "$IMAGE" sh -c 'echo x >/dev/fuse; true'
        has 'not permitted' prun --cap-add MKNOD "$IMAGE" sh -c 'mknod /tmp/d c 10 229; cat /tmp/d; true'
        has 'No such device' prun --cap-add MKNOD --device-cgroup-rule 'c 10:254 rwm' "$IMAGE" sh -c 'mknod /tmp/d c 10 254; cat /tmp/d; true'
    }
    compare '--device, --device-cgroup-rule'
}

@test "--cap-add, --cap-drop" {
    steps() {
        is 00000000800415fa prun --cap-add NET_ADMIN --cap-drop CHOWN "$IMAGE" awk '/CapEff/ { print $2 }' /proc/self/status
        is 0000000000000000 prun --cap-drop all "$IMAGE" awk '/CapBnd/ { print $2 }' /proc/self/status
        is 0000000000002000 prun --user 1000 --cap-add NET_RAW "$IMAGE" awk '/CapAmb/ { print $2 }' /proc/self/status
        is 0000000000000000 prun --user 1000 "$IMAGE" awk '/CapPrm/ { print $2 }' /proc/self/status
        has ok prun --cap-add NET_ADMIN "$IMAGE" sh -c 'ip link set lo down && echo ok'
        ends 1 prun --cap-drop CHOWN "$IMAGE" chown 1 /tmp
    }
    compare '--cap-add, --cap-drop'
}

@test "--privileged" {
    steps() {
        is "$(sed -n 's/^CapBnd:\t//p' /proc/self/status) 0" prun --privileged "$IMAGE" \
            awk '/CapEff/ { c = $2 } /^Seccomp:/ { print c, $2 }' /proc/self/status
        prun --privileged "$IMAGE" sh -c 'test -c /dev/fuse && mount -t tmpfs none /mnt 2>/dev/null || { mkdir /m && mount -t tmpfs none /m; }'
        has rw prun --privileged "$IMAGE" grep ' /sys ' /proc/mounts
    }
    compare '--privileged'
}

@test "--security-opt seccomp, no-new-privileges" {
    steps() {
        local profile=$BATS_TEST_TMPDIR/profile.json
        echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}' >"$profile"
        has 'not implemented' prun --security-opt "seccomp=$profile" "$IMAGE" sh -c 'mkdir /tmp/x; true'
        is 2 prun "$IMAGE" awk '/^Seccomp:/ { print $2 }' /proc/self/status
        is 0 prun --security-opt seccomp=unconfined "$IMAGE" awk '/^Seccomp:/ { print $2 }' /proc/self/status
        is 1 prun --security-opt no-new-privileges "$IMAGE" awk '/^NoNewPrivs:/ { print $2 }' /proc/self/status
        ends 1 prun "$IMAGE" unshare -m true
    }
    compare '--security-opt seccomp=, no-new-privileges'
}

@test "--security-opt apparmor" {
    steps() {
        [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] || unable 'no AppArmor in this kernel'
        has containers-default prun "$IMAGE" cat /proc/self/attr/current
        has unconfined prun --security-opt apparmor=unconfined "$IMAGE" cat /proc/self/attr/current
    }
    compare '--security-opt apparmor='
}

@test "--security-opt mask, unmask" {
    steps() {
        is 0 prun --security-opt mask=/proc/version "$IMAGE" sh -c 'wc -c </proc/version'
        ends 1 prun "$IMAGE" sh -c 'echo 1 >/proc/sys/kernel/domainname'
        is 0 prun --security-opt unmask=ALL "$IMAGE" sh -c 'grep -c " /proc/" /proc/mounts || true'
        has /proc/irq prun "$IMAGE" grep ' /proc/' /proc/mounts
    }
    compare '--security-opt mask=, unmask='
}

@test "--memory: the limit, and its end" {
    steps() {
        is 20971520 prun --memory 20m "$IMAGE" cat "$CG/memory/memory.limit_in_bytes"
        is 10485760 prun --memory 20m --memory-reservation 10m "$IMAGE" cat "$CG/memory/memory.soft_limit_in_bytes"
        is 137 prun --memory 16m "$IMAGE" sh -c '(tail /dev/zero; echo $?) 2>/dev/null'
        ends 137 prun --memory 16m "$IMAGE" tail /dev/zero
    }
    compare '--memory, killed beyond it'
}

@test "--pids-limit, --cpus, --cpu-shares, --cpuset-cpus" {
    steps() {
        ends 2 prun --pids-limit 5 "$IMAGE" sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 100 & done; true'
        is 5 prun --pids-limit 5 "$IMAGE" cat "$CG/pids/pids.max"
        is '50000 100000' prun --cpus 0.5 "$IMAGE" sh -c "echo \$(cat $CG/cpu/cpu.cfs_quota_us $CG/cpu/cpu.cfs_period_us)"
        is '200 0' prun --cpu-shares 200 --cpuset-cpus 0 "$IMAGE" sh -c "echo \$(cat $CG/cpu/cpu.shares $CG/cpuset/cpuset.cpus)"
    }
    compare '--pids-limit, --cpus, --cpu-shares, --cpuset-cpus'
}

@test "--ulimit, --oom-score-adj" {
    steps() {
        is '100 200 1000' prun --ulimit nofile=100:200 --ulimit nproc=1000:1000 "$IMAGE" sh -c 'echo $(ulimit -n) $(ulimit -Hn) $(ulimit -u)'
        is 500 prun --oom-score-adj 500 "$IMAGE" cat /proc/self/oom_score_adj
    }
    compare '--ulimit, --oom-score-adj'
}

@test "--sysctl" {
    steps() {
        is '1 1' prun --sysctl net.ipv4.ip_forward=1 --sysctl kernel.shm_rmid_forced=1 "$IMAGE" sh -c 'echo $(cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced)'
        is '0 5' prun --sysctl 'net.ipv4.ping_group_range=0 5' "$IMAGE" sh -c 'echo $(cat /proc/sys/net/ipv4/ping_group_range)'
        ends 125 prun --sysctl nosuch.name=1 "$IMAGE" true
    }
    compare '--sysctl'
}

@test "--user, --group-add, --hostuser, --passwd-entry" {
    steps() {
        is 'uid=1000(user) gid=1000(user) groups=1000(user),5000' prun --user 1000:1000 --group-add 5000 "$IMAGE" id
        has 'uid=1000(user) gid=1000(user)' prun --user user "$IMAGE" id
        useradd -M "host-$RT"
        has "host-$RT:" prun --hostuser "host-$RT" "$IMAGE" cat /etc/passwd
        has 'x:77:0::/:/bin/sh' prun --passwd-entry '$USERNAME:x:$UID:$GID::/:/bin/sh' --user 77 "$IMAGE" cat /etc/passwd
        ends 126 prun --user nosuchuser "$IMAGE" true
    }
    compare '--user, --group-add, --hostuser, --passwd-entry'
}

@test "--env, --workdir, --entrypoint, --hostname, --add-host, --umask, --tz, --personality" {
    steps() {
        is 'value /tmp' prun --env A=value --workdir /tmp "$IMAGE" sh -c 'echo $A $PWD'
        is 'ep arg' prun --entrypoint '["echo","ep"]' "$IMAGE" arg
        is name prun --hostname name "$IMAGE" hostname
        has '1.2.3.4' prun --add-host there:1.2.3.4 "$IMAGE" grep there /etc/hosts
        is 0077 prun --umask 077 "$IMAGE" sh -c umask
        is "$(TZ=Europe/Berlin date +%Z)" prun --tz Europe/Berlin "$IMAGE" date +%Z
    }
    compare '--env, --workdir, --entrypoint, --hostname, --umask, --tz'
}

@test "--personality" {
    steps() { is i686 prun --personality LINUX32 "$IMAGE" uname -m; }
    compare '--personality'
}

@test "--pid, --ipc, --uts, --net: of the host, of another container" {
    steps() {
        pod run -d --name c --net none --hostname other --ipc shareable "$IMAGE" sh -c 'sleep 1000; true' first
        wait_for 10 pod exec c true
        has first prun --pid container:c "$IMAGE" cat /proc/1/cmdline
        is "$(pod exec c readlink /proc/self/ns/ipc)" prun --ipc container:c "$IMAGE" readlink /proc/self/ns/ipc
        is "$(pod exec c readlink /proc/self/ns/net)" prun --net container:c "$IMAGE" readlink /proc/self/ns/net
        is other prun --uts container:c "$IMAGE" hostname
        is "$(readlink /proc/self/ns/pid)" prun --pid host "$IMAGE" readlink /proc/self/ns/pid
        is "$(readlink /proc/self/ns/net)" prun --net host "$IMAGE" readlink /proc/self/ns/net
        is "$(readlink /proc/self/ns/ipc)" prun --ipc host "$IMAGE" readlink /proc/self/ns/ipc
        is "$(hostname)" prun --uts host "$IMAGE" hostname
        # shared process namespace: it can be stopped all the same
        pod run -d --name d --net none --pid container:c "$IMAGE" sh -c 'sleep 1000 & sleep 1000'
        pod rm --force --time 0 d
        has first pod exec c cat /proc/1/cmdline
    }
    compare '--pid, --ipc, --uts, --net: host, container'
}

@test "--userns=auto, --uidmap" {
    steps() {
        is '0 3000000 1024' prun --userns=auto "$IMAGE" sh -c 'echo $(cat /proc/self/uid_map)'
        is '0 3000000 2000' prun --userns=auto:size=2000 "$IMAGE" sh -c 'echo $(cat /proc/self/gid_map)'
        is '0 100000 1000 0 200000 1000 0' prun --uidmap 0:100000:1000 --gidmap 0:200000:1000 "$IMAGE" sh -c \
            'touch /x; echo $(cat /proc/self/uid_map /proc/self/gid_map; stat -c %u /x)'
        pod run -d --net none --name c --userns=auto:size=4000 "$IMAGE" sleep 1000
        is root pod exec c id -un
        is '1000 1000' pod exec --user user c sh -c 'echo $(id -u) $(id -g)'
        is "$(pod exec c readlink /proc/self/ns/user)" prun --userns container:c "$IMAGE" readlink /proc/self/ns/user
        has 'status 3' on_terminal expect='# ' send='exit 3\n' -- /usr/bin/podman --runtime "$RT" \
            run --rm -it --userns=auto --net none --env 'PS1=# ' "$IMAGE" sh
    }
    compare '--userns=auto, --uidmap'
}

@test "--userns: idmapped volume" {
    steps() {
        local dir=$BATS_TEST_TMPDIR/$RT
        mkdir "$dir"
        echo data >"$dir/f"
        is '0' prun --uidmap 0:100000:1000 -v "$dir:/v:idmap" "$IMAGE" sh -c 'stat -c %u /v/f && touch /v/new'
        is 0 stat -c %u "$dir/new"
    }
    compare '--userns with an idmapped volume'
}

@test "--cgroups, --cgroupns, --cgroup-parent" {
    steps() {
        is /other-"$RT" sh -c 'dirname "$1"' sh "$(prun --cgroupns host --cgroup-parent "/other-$RT" "$IMAGE" sed -n 's/.*:pids://p' /proc/self/cgroup)"
        is / prun --cgroupns private "$IMAGE" sed -n 's/.*:pids://p' /proc/self/cgroup
        has /libpod_parent/ prun --cgroupns host --cgroups no-conmon "$IMAGE" sed -n 's/.*:pids://p' /proc/self/cgroup
    }
    compare '--cgroupns, --cgroup-parent, --cgroups=no-conmon'
}

@test "--cgroups=disabled" {
    steps() {
        is "$(sed -n 's/.*:pids://p' /proc/self/cgroup)" prun --cgroups disabled --cgroupns host "$IMAGE" sed -n 's/.*:pids://p' /proc/self/cgroup
        pod run -d --name c --net none --cgroups disabled "$IMAGE" sh -c 'sleep 1000 & sleep 1000'
        is hi pod exec c echo hi
        pod rm --force --time 0 c
    }
    compare '--cgroups=disabled'
}

@test "hooks" {
    steps() {
        local dir=$BATS_TEST_TMPDIR/hooks-$RT
        mkdir "$dir"
        printf '#!/bin/sh\ncat >"%s/state-$1"\n' "$dir" >"$dir/hook" && chmod +x "$dir/hook"
        for stage in prestart createRuntime poststart poststop; do
            jq -n --arg hook "$dir/hook" --arg stage $stage '{version: "1.0.0", hook: {path: $hook, args: ["hook", $stage]},
                when: {annotations: {"^with": "^hooks$"}}, stages: [$stage]}' >"$dir/$stage.json"
        done
        podman --runtime "$RT" --hooks-dir "$dir" run --rm --net none --annotation with=hooks "$IMAGE" true
        for stage in prestart createRuntime poststart poststop; do
            jq -e '.id | length == 64' "$dir/state-$stage"
        done
    }
    compare 'hooks of --hooks-dir'
}
