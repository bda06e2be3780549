# shellcheck disable=SC2016 # texts for the inner shell
# containerd and its client ctr, from Debian's packages: the whole life of a task.
# Needs: containerd ctr containerd-shim-runc-v2 runc crun jq python3
load callers
load containerd
CALLER=containerd

setup_file() { begin_containerd; }

on_terminal() { "$LIB/terminal.py" 24x80 "$@" | tr -d '\r'; }
# forever ID [OPTION]...: a task that runs until it gets SIGTERM, and then ends with status 3.
forever() {
    local id=$1
    shift
    task_run -d --null-io "$@" "$IMAGE" "$id" sh -c 'trap "exit 3" TERM; : >/ready; while :; do sleep 0.05; done'
    wait_for 10 test -e "/proc/$(pid_of "$id")/root/ready"
}

# processes ID NUMBER: so many (forever has one and a sleep, now and then).
processes() { [ "$(ctr tasks ps "$1" | tail -n +2 | wc -l)" -le "$2" ]; }

@test "run: output, input, status" {
    steps() {
        is hello task_run --rm "$IMAGE" c echo hello
        is typed task_run --rm "$IMAGE" c head -n 1 <<<typed
        [ "$(task_run --rm "$IMAGE" c sh -c 'echo out; echo err >&2' 2>/dev/null)" = out ]
        ends 7 task_run --rm "$IMAGE" c sh -c 'exit 7'
        ends 137 task_run --rm "$IMAGE" c sh -c 'sh -c "kill -KILL \$\$"; exit $?'
    }
    compare 'run: output, input, status'
}

@test "run: what can't be started, and that nothing is left of it" {
    steps() {
        ends 1 task_run --rm "$IMAGE" c nosuchprogram
        [[ $output == *nosuchprogram*'executable file not found'* ]] || [ "$RT" = crun ]
        ends 1 task_run --rm "$IMAGE" c /etc/notexec
        [[ $output == *[Pp]'ermission denied'* ]]
        ends 1 task_run --rm --mount type=bind,src=/no/such,dst=/x,options=rbind "$IMAGE" c true
        [[ $output == *'o such file or directory'* ]]
        [ -z "$(ctr tasks ls -q)" ]
    }
    compare 'run: what cannot be started'
}

@test "run -t: a terminal" {
    steps() {
        # The client sets the size when the program runs.
        has 'status 5' on_terminal expect='# ' send='tty; stty size; exit 5\n' -- \
            /usr/bin/ctr --namespace "t-$RT" run --runc-binary "$(binary "$RT")" --rm -t --env 'PS1=# ' "$IMAGE" c sh
        has '/dev/pts/0
24 80' on_terminal expect='# ' send='tty; until stty size 2>/dev/null; do sleep 0.05; done; exit 5\n' -- \
            /usr/bin/ctr --namespace "t-$RT" run --runc-binary "$(binary "$RT")" --rm -t --env 'PS1=# ' "$IMAGE" c sh
    }
    compare 'run -t'
}

@test "run -t: the window changes, Ctrl-C arrives" {
    steps() {
        has 'status 4' on_terminal expect=ready size=30x100 winch='30 100' send='\x03' expect=interrupted -- \
            /usr/bin/ctr --namespace "t-$RT" run --runc-binary "$(binary "$RT")" --rm -t "$IMAGE" c sh -c 'trap "stty size" WINCH
            trap "echo interrupted; exit 4" INT; echo ready; while :; do sleep 0.05; done'
    }
    compare 'run -t: window size, Ctrl-C'
}

@test "exec" {
    steps() {
        forever c
        is hello ctr tasks exec --exec-id e c echo hello
        is typed ctr tasks exec --exec-id e c head -n 1 <<<typed
        ends 7 ctr tasks exec --exec-id e c sh -c 'exit 7'
        is '1000 /tmp' ctr tasks exec --exec-id e --user 1000 --cwd /tmp c sh -c 'echo $(id -u) $(pwd)'
        ends 1 ctr tasks exec --exec-id e c nosuchprogram
        has 'status 5' on_terminal expect='/ ' send='tty; exit 5\n' expect='/dev/pts/0' -- /usr/bin/ctr --namespace "t-$RT" tasks exec -t --exec-id e c sh
        is RUNNING state_of c
    }
    compare 'exec'
}

@test "exec: detached, and killed by itself" {
    steps() {
        forever c
        ctr tasks exec --exec-id e -d c sleep 1000
        has ExecID:e ctr tasks ps c
        ctr tasks kill --exec-id e -s KILL c
        wait_for 10 processes c 2
        is RUNNING state_of c
    }
    compare 'exec: detached, killed'
}

# The client throws away what was typed before it listens; the container says that it does.
@test "attach" {
    steps() {
        has 'status 0' on_terminal -- /usr/bin/ctr --namespace "t-$RT" run --runc-binary "$(binary "$RT")" -d -t "$IMAGE" c \
            sh -c 'until read -t 1 x && [ "$x" = hello ]; do echo waiting; done; echo got hello; exit 3'
        has 'status 3' on_terminal expect=waiting send='hello\n' expect='got hello' -- /usr/bin/ctr --namespace "t-$RT" tasks attach c
    }
    compare 'attach'
}

@test "kill" {
    steps() {
        forever c
        ctr tasks kill -s CHLD c
        is RUNNING state_of c
        ctr tasks kill c
        wait_for 10 in_state c STOPPED
        ends 1 ctr tasks kill c
        [[ $output == *'not found'* ]]
        ctr tasks rm c
        [ -z "$(state_of c)" ]
    }
    compare 'kill'
}

@test "kill --all" {
    steps() {
        task_run -d --null-io "$IMAGE" c sh -c 'sleep 1000 & sleep 1001 & : >/ready; wait'
        wait_for 10 test -e "/proc/$(pid_of c)/root/ready"
        ctr tasks kill --all -s KILL c
        wait_for 10 in_state c STOPPED
    }
    compare 'kill --all'
}

@test "pause, resume" {
    steps() {
        forever c
        ctr tasks pause c
        is PAUSED state_of c
        ends 1 ctr tasks exec --exec-id e c true
        ctr tasks resume c
        is RUNNING state_of c
        ctr tasks pause c
        ctr tasks rm --force c
        [ -z "$(state_of c)" ]
    }
    compare 'pause, resume'
}

@test "metrics" {
    steps() {
        forever c --memory-limit 67108864
        has memory ctr tasks metrics c
        ctr tasks metrics --format json c | tee /dev/stderr | jq -e '.memory.usage.limit == 67108864 and .cpu.usage.total > 0 and .pids.current > 0'
    }
    compare 'metrics'
}

@test "ps" {
    steps() {
        forever c
        ctr tasks exec --exec-id e -d c sleep 1000
        has "$(pid_of c)" ctr tasks ps c
        has ExecID:e ctr tasks ps c
    }
    compare 'ps'
}

@test "delete" {
    steps() {
        forever c
        ends 1 ctr tasks rm c
        [[ $output == *'must be stopped'* || $output == *running* ]]
        is RUNNING state_of c
        ctr tasks rm --force c
        [ -z "$(state_of c)" ]
        ctr containers rm c
        wait_for 10 nothing_left
    }
    compare 'delete'
}

@test "several at once" {
    steps() {
        local i pids=()
        for i in 1 2 3 4 5 6; do
            task_run --rm "$IMAGE" "c$i" sh -c "echo $i; exit 1$i" >"$BATS_TEST_TMPDIR/$i" &
            pids+=($!)
        done
        for i in 1 2 3 4 5 6; do
            status=0
            wait "${pids[i - 1]}" || status=$?
            [ "$status" = "1$i" ]
            is "$i" cat "$BATS_TEST_TMPDIR/$i"
        done
    }
    compare 'several at once'
}

@test "run: options" {
    steps() {
        is 'a b' task_run --rm --env X='a b' "$IMAGE" c sh -c 'echo "$X"'
        is /tmp task_run --rm --cwd /tmp "$IMAGE" c pwd
        ends 1 task_run --rm --read-only "$IMAGE" c touch /x
        echo inside >"$BATS_TEST_TMPDIR/file"
        is inside task_run --rm --mount "type=bind,src=$BATS_TEST_TMPDIR,dst=/mnt,options=rbind:ro" "$IMAGE" c cat /mnt/file
        ends 1 task_run --rm --mount "type=bind,src=$BATS_TEST_TMPDIR,dst=/mnt,options=rbind:ro" "$IMAGE" c touch /mnt/x
        is world task_run --rm --net-host "$IMAGE" c hostname
        [ "$(task_run --rm --net-host "$IMAGE" c readlink /proc/self/ns/net)" = "$(readlink /proc/self/ns/net)" ]
        [ "$(task_run --rm "$IMAGE" c readlink /proc/self/ns/net)" != "$(readlink /proc/self/ns/net)" ]
        is 1 task_run --rm "$IMAGE" c sh -c 'grep -c : /proc/net/dev | tail -n 1'
        task_run --rm --pid-file "$BATS_TEST_TMPDIR/$RT.pid" "$IMAGE" c true
        grep -qx '[0-9]*' "$BATS_TEST_TMPDIR/$RT.pid"
    }
    compare 'run: options'
}

# limit ID V1-CONTROLLER FILE V2-FILE: what the task's cgroup says.
limit() {
    if [ -d /sys/fs/cgroup/memory ]; then cat "/sys/fs/cgroup/$2/t-$RT/$1/$3"; else cat "/sys/fs/cgroup/t-$RT/$1/$4"; fi
}

@test "run: limits" {
    steps() {
        forever c --memory-limit 67108864 --cpus 0.5
        is 67108864 limit c memory memory.limit_in_bytes memory.max
        has 50000 limit c cpu cpu.cfs_quota_us cpu.max
        ends 137 task_run --rm --memory-limit 16777216 "$IMAGE" d sh -c 'x=x; while :; do x=$x$x; done'
    }
    compare 'run: limits'
}

@test "run: capabilities, seccomp, no new privileges" {
    steps() {
        is 'CapEff:	00000000a80425fb' task_run --rm "$IMAGE" c grep CapEff /proc/self/status
        is 'CapEff:	00000000a82425fb' task_run --rm --cap-add CAP_SYS_ADMIN "$IMAGE" c grep CapEff /proc/self/status
        is 'CapEff:	00000000a80425da' task_run --rm --cap-drop CAP_CHOWN --cap-drop CAP_KILL "$IMAGE" c grep CapEff /proc/self/status
        is 'Seccomp:	2' task_run --rm --seccomp "$IMAGE" c grep Seccomp: /proc/self/status
        is 'Seccomp:	0' task_run --rm "$IMAGE" c grep Seccomp: /proc/self/status
        is 'NoNewPrivs:	1' task_run --rm "$IMAGE" c grep NoNewPrivs: /proc/self/status
        is 'NoNewPrivs:	0' task_run --rm --allow-new-privs "$IMAGE" c grep NoNewPrivs: /proc/self/status
    }
    compare 'run: capabilities, seccomp, no new privileges'
}

@test "run --privileged" {
    steps() { task_run --rm --privileged "$IMAGE" c sh -c 'mount -t tmpfs x /tmp'; }
    compare 'run --privileged'
}

@test "run: namespaces of another task, devices, a user namespace" {
    steps() {
        forever c
        [ "$(task_run --rm --with-ns "network:/proc/$(pid_of c)/ns/net" "$IMAGE" d readlink /proc/self/ns/net)" = "$(readlink "/proc/$(pid_of c)/ns/net")" ]
        task_run --rm --with-ns "pid:/proc/$(pid_of c)/ns/pid" "$IMAGE" d sh -c '[ "$$" != 1 ]'
        task_run --rm --device /dev/full "$IMAGE" d test -c /dev/full
        is '         0    2000000      65536' task_run --rm --uidmap 0:2000000:65536 --gidmap 0:2000000:65536 "$IMAGE" d cat /proc/self/uid_map
    }
    compare 'run: --with-ns, --device, --uidmap'
}

@test "run --rootfs, --config" {
    steps() {
        local root=$BATS_TEST_TMPDIR/root-$RT
        mkdir -p "$root/bin" "$root/proc" "$root/dev" "$root/sys"
        cp /bin/busybox "$root/bin/sh"
        is hello task_run --rm --rootfs "$root" c /bin/sh -c 'echo hello'
    }
    compare 'run --rootfs'
}

@test "a shim that is killed takes its container along" {
    steps() {
        local pid shim
        forever c
        pid=$(pid_of c)
        shim=$(awk '{ print $4 }' "/proc/$pid/stat")
        kill -KILL "$shim"
        wait_for 10 gone "$pid"
        wait_for 10 in_state c ''
    }
    compare 'a shim that is killed'
}
gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

@test "containerd ends and comes back" {
    steps() {
        forever c
        kill -KILL "$(cat "$WORLD/containerd.pid")"
        start_containerd
        is RUNNING state_of c
        is hello ctr tasks exec --exec-id e c echo hello
        ctr tasks kill c
        wait_for 10 in_state c STOPPED
    }
    compare 'containerd restarts'
}
