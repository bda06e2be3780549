# shellcheck disable=SC2016 # texts for the inner shell
# podman as root, from Debian's packages: a container's life, terminals, exec, health checks.
# Needs: podman conmon runc crun jq python3
load callers
load podman

# forever NAME [OPTION]...: a container that runs until it is told to end, and obeys.
forever() {
    local name=$1
    shift
    pod run -d --net none --name "$name" "$@" "$IMAGE" sh -c 'trap "echo got TERM; exit 3" TERM; trap "echo got USR1" USR1
        echo ready; while :; do sleep 0.05; done'
    wait_for 10 logged "$name" ready
}
logged() { pod logs "$1" 2>&1 | grep -q "$2"; }
status_of() { pod inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$1"; }

@test "run: output, input, status" {
    steps() {
        is hello prun "$IMAGE" echo hello
        is typed prun -i "$IMAGE" cat <<<typed
        [ "$(prun "$IMAGE" sh -c 'echo out; echo err >&2' 2>/dev/null)" = out ]
        ends 7 prun "$IMAGE" sh -c 'exit 7'
        ends 137 prun --init "$IMAGE" sh -c 'kill -KILL $$'
    }
    compare 'run: output, input, status'
}

@test "run: what can't be started is told apart" {
    steps() {
        ends 127 prun "$IMAGE" nosuchprogram
        ends 127 prun "$IMAGE" /no/such/program
        ends 126 prun "$IMAGE" /etc/notexec
        ends 126 prun "$IMAGE" /etc
        ends 125 prun --security-opt nosuchoption "$IMAGE" true
        [ -z "$(pod ps --all --quiet)" ]
    }
    compare 'run: 125, 126, 127'
}

@test "run -it: a terminal" {
    steps() {
        has 'status 5' on_terminal expect='# ' send='test -t 0 && tty; stty size; exit 5\n' -- /usr/bin/podman --runtime "$RT" \
            run --rm -it --net none --env 'PS1=# ' "$IMAGE" sh
        has '/dev/pts/0
24 80' tr -d '\r' < <(on_terminal expect='# ' send='tty; until stty size 2>/dev/null; do sleep 0.05; done; exit 5\n' -- /usr/bin/podman --runtime "$RT" \
            run --rm -it --net none --env 'PS1=# ' "$IMAGE" sh)
    }
    compare 'run -it'
}

@test "run -it: the window changes, Ctrl-C arrives" {
    steps() {
        on_terminal expect='ready' size=30x100 winch='30 100' send='\x03' expect='interrupted' -- /usr/bin/podman --runtime "$RT" \
            run --rm -it --net none "$IMAGE" sh -c 'trap "stty size" WINCH; trap "echo interrupted; exit 4" INT; echo ready
            while :; do sleep 0.05; done' | tee /dev/stderr | grep -q 'status 4'
    }
    compare 'run -it: window size, Ctrl-C'
}

@test "attach, detach" {
    steps() {
        pod run -d -t --net none --name c "$IMAGE" sh -c 'trap "echo got USR1" USR1; while :; do echo tick; sleep 0.05; done'
        on_terminal expect=tick send='\x18' -- /usr/bin/podman --runtime "$RT" attach --detach-keys ctrl-x c |
            tee /dev/stderr | grep -q 'status 0'
        is 'running 0' status_of c
        pod kill --signal USR1 c
        wait_for 10 logged c 'got USR1'
    }
    compare 'attach, detach'
}

@test "logs" {
    steps() {
        pod run -d --net none --name c "$IMAGE" sh -c 'for i in 1 2 3; do echo line $i; done; echo wrong >&2'
        is 0 pod wait c
        [ "$(pod logs c 2>/dev/null)" = "$(printf 'line %d\n' 1 2 3)" ]
        [ "$(pod logs c 2>&1 >/dev/null)" = wrong ]
    }
    compare 'logs'
}

@test "create, start, stop, restart, rm" {
    steps() {
        pod create --net none --name c "$IMAGE" sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done'
        is 'created 0' status_of c
        pod start c
        wait_for 10 logged c ready
        is 'running 0' status_of c
        pod stop --time 20 c
        is 'exited 3' status_of c
        pod start c
        pod restart --time 0 c
        is 'running 0' status_of c
        ends 2 pod rm c
        pod rm --force --time 0 c
        ends 1 pod container exists c
    }
    compare 'create, start, stop, restart, rm'
}

@test "init: what the runtime prepared but nobody started" {
    steps() {
        pod create --net none --name c "$IMAGE" sh -c 'echo started'
        pod init c
        is 'initialized 0' status_of c
        is started pod start --attach c
        pod rm c
        pod create --net none --name c "$IMAGE" true
        pod init c
        pod rm --force --time 0 c
    }
    compare 'init'
}

@test "kill, wait" {
    steps() {
        forever c
        pod kill --signal USR1 c
        wait_for 10 logged c 'got USR1'
        pod kill c
        is 137 pod wait c
        ends 125 pod kill c
    }
    compare 'kill, wait'
}

@test "stop: a container that does not obey" {
    steps() {
        pod run -d --net none --name c --stop-signal USR2 "$IMAGE" sh -c 'trap "" USR2; while :; do sleep 0.05; done'
        pod stop --time 1 c
        is 'exited 137' status_of c
    }
    compare 'stop: killed after its time'
}

@test "pause, unpause" {
    steps() {
        forever c
        pod pause c
        is 'paused 0' status_of c
        ends 255 pod exec c true
        pod unpause c
        is 'running 0' status_of c
        is ok pod exec c echo ok
        pod pause c
        pod rm --force --time 0 c
    }
    compare 'pause, unpause'
}

@test "ps, inspect" {
    steps() {
        forever c
        has 'c Up' pod ps --format '{{.Names}} {{.Status}}'
        pid=$(pod inspect --format '{{.State.Pid}}' c)
        grep -q 'got TERM' "/proc/$pid/cmdline"
        is "$(pod inspect --format '{{.Id}}' c)" basename "$(sed -n 's/^.*pids.*://p' "/proc/$pid/cgroup" | sed s/libpod-//)"
        has "$RT" pod inspect --format '{{.OCIRuntime}}' c
    }
    compare 'ps, inspect'
}

@test "top" {
    steps() {
        forever c
        has 'sh -c trap' pod top c
        has '1 ' pod top c pid hpid args
        wait_for 10 has sleep pod top c -eo comm # the shell may be between two of them
    }
    compare 'top'
}

@test "stats" {
    steps() {
        forever c --memory 64m
        pod stats --no-stream --format json c >"$BATS_TEST_TMPDIR/stats"
        jq -e '.[0] | .name == "c" and (.pids | tonumber) >= 1 and (.mem_usage | test("67.11MB"))' "$BATS_TEST_TMPDIR/stats"
    }
    compare 'stats'
}

@test "update" {
    steps() {
        forever c --memory 64m --cpu-shares 512
        pod update --memory 96m --cpu-shares 256 --cpus 0.5 c
        is '100663296 256 50000' pod exec c sh -c 'cd /sys/fs/cgroup
            echo $(cat memory/memory.limit_in_bytes cpu/cpu.shares cpu/cpu.cfs_quota_us)'
    }
    compare 'update'
}

@test "exec" {
    steps() {
        forever c
        is hi pod exec c echo hi
        is typed pod exec -i c cat <<<typed
        ends 9 pod exec c sh -c 'exit 9'
        ends 127 pod exec c nosuchprogram
        ends 126 pod exec c /etc/notexec
        is 'uid=1000(user) gid=2000(extra)
/tmp
value' pod exec --user 1000:2000 --workdir /tmp --env A=value c sh -c 'id; pwd; echo $A'
        pod exec -d c touch /tmp/made
        wait_for 10 pod exec c test -e /tmp/made
        is 'CapEff:	0000000000000000' pod exec --user user c grep CapEff /proc/self/status
        ends 143 pod exec c sh -c 'kill $$'
        is preserved pod exec --preserve-fds 1 c cat /proc/self/fd/3 3<<<preserved
    }
    compare 'exec'
}

@test "exec --privileged" {
    steps() {
        forever c
        has "$(sed -n 's/^CapBnd:\t//p' /proc/self/status)" pod exec --privileged c grep CapEff /proc/self/status
    }
    compare 'exec --privileged'
}

@test "exec -it: a terminal" {
    steps() {
        forever c
        # The size and what is typed come by ways of their own.
        on_terminal expect='# ' size=31x101 send='until stty size | grep 31.101; do sleep 0.05; done\n' winch='31 101' expect='# ' send='tty; exit 6\n' -- /usr/bin/podman --runtime "$RT" exec -it --env 'PS1=# ' c sh |
            tee /dev/stderr | tr -d '\r' >"$BATS_TEST_TMPDIR/out"
        grep -q /dev/pts/ "$BATS_TEST_TMPDIR/out"
        grep -q 'status 6' "$BATS_TEST_TMPDIR/out"
    }
    compare 'exec -it'
}

@test "--init, --preserve-fds, --timeout, --rm" {
    steps() {
        has podman-init prun --init "$IMAGE" cat /proc/1/cmdline
        is preserved prun --preserve-fds 1 "$IMAGE" cat /proc/self/fd/3 3<<<preserved
        ends 255 prun --timeout 1 "$IMAGE" sleep 100
        [ -z "$(pod ps --all --quiet)" ]
    }
    compare '--init, --preserve-fds, --timeout'
}

@test "--restart" {
    steps() {
        pod run -d --net none --name c --restart on-failure:2 "$IMAGE" sh -c 'echo again; exit 1'
        wait_for 20 restarted
        [ "$(pod logs c | grep -c again)" = 3 ]
    }
    restarted() { [ "$(pod inspect --format '{{.RestartCount}} {{.State.Status}}' c)" = '2 exited' ]; }
    compare '--restart'
}

@test "health check" {
    steps() {
        forever c --health-cmd 'test -e /tmp/well' --health-interval disable --health-retries 1
        ends 1 pod healthcheck run c
        pod exec c touch /tmp/well
        pod healthcheck run c
        is healthy pod inspect --format '{{.State.Health.Status}}' c
    }
    compare 'healthcheck run'
}

@test "--sdnotify: the container says when it is ready" {
    steps() {
        local manager=$BATS_TEST_TMPDIR/$RT.notify
        python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
while "READY=1" not in s.recv(4096).decode():
    pass' "$manager" &
        wait_for 10 test -S "$manager"
        NOTIFY_SOCKET=$manager pod run -d --net none --sdnotify container -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro "$IMAGE" \
            /usr/bin/python3 -c '
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
time.sleep(100)'
        wait $!
    }
    compare '--sdnotify container'
}

@test "commit, diff, cp, export" {
    steps() {
        forever c
        pod exec c sh -c 'echo new >/new'
        has 'A /new' pod diff c
        echo copied >"$BATS_TEST_TMPDIR/copied"
        pod cp "$BATS_TEST_TMPDIR/copied" c:/tmp/copied
        is copied pod exec c cat /tmp/copied
        pod commit -q c "committed-$RT"
        is new prun "committed-$RT" cat /new
        pod export c | tar -t | grep -qx new
    }
    compare 'commit, diff, cp, export'
}
