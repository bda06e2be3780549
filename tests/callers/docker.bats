# shellcheck disable=SC2016 # texts for the inner shell
# Docker, from Debian's packages: the life of a container.
# Needs: dockerd docker containerd runc crun jq python3
load callers
load docker
CALLER=docker

setup_file() { begin_docker; }

@test "info: the runtime is registered" {
    docker info --format '{{json .Runtimes}}' | jq -e '.drupe.path == "/usr/local/bin/drupe"'
    [ "$(docker info --format '{{.DefaultRuntime}}')" = drupe ]
    [ "$(docker run --rm "$IMAGE" echo hello)" = hello ]
}

@test "run: output, input, status" {
    steps() {
        is hello drun --rm "$IMAGE" echo hello
        is typed drun --rm -i "$IMAGE" cat <<<typed
        [ "$(drun --rm "$IMAGE" sh -c 'echo out; echo err >&2' 2>/dev/null)" = out ]
        ends 7 drun --rm "$IMAGE" sh -c 'exit 7'
        ends 137 drun --rm --init "$IMAGE" sh -c 'kill -KILL $$'
        [ "$(head -c 3000000 /dev/zero | drun --rm -i "$IMAGE" wc -c)" = 3000000 ]
    }
    compare 'run: output, input, status'
}

@test "run: what can't be started is told apart" {
    steps() {
        ends 127 drun --rm "$IMAGE" nosuchprogram
        ends 127 drun --rm "$IMAGE" /no/such/program
        ends 126 drun --rm "$IMAGE" /etc/notexec
        ends 126 drun --rm "$IMAGE" /etc
        ends 125 drun --rm --security-opt nosuchoption "$IMAGE" true
        [ -z "$(docker ps --all --quiet)" ]
    }
    compare 'run: 125, 126, 127'
}

@test "run -it: a terminal" {
    steps() {
        has 'status 5' on_terminal expect='# ' send='tty\n' expect='/dev/pts/0' send='exit 5\n' -- \
            /usr/bin/docker run --runtime "t-$RT" --rm -it --env 'PS1=# ' "$IMAGE" sh
    }
    compare 'run -it'
}

@test "run -it: the window changes, Ctrl-C arrives" {
    steps() {
        has 'status 4' on_terminal expect=ready size=30x100 winch='30 100' send='\x03' expect=interrupted -- \
            /usr/bin/docker run --runtime "t-$RT" --rm -it "$IMAGE" sh -c 'trap "stty size" WINCH
            trap "echo interrupted; exit 4" INT; echo ready; while :; do sleep 0.05; done'
    }
    compare 'run -it: window size, Ctrl-C'
}

@test "attach, detach" {
    steps() {
        drun -d -it --name c1 "$IMAGE" sh -c 'echo ready; while read x; do echo "got $x"; done'
        has 'read escape sequence' on_terminal send='one\n' expect='got one' send='\x18' -- /usr/bin/docker attach --detach-keys ctrl-x c1
        is 'running 0' state_of c1
        has 'got two' on_terminal send='two\n' expect='got two' send='\x04' -- /usr/bin/docker attach c1
        wait_for 10 in_state c1 'exited 0'
    }
    compare 'attach, detach'
}

@test "exec" {
    steps() {
        forever c1 --env A=1
        is hello docker exec c1 echo hello
        is typed docker exec -i c1 cat <<<typed
        ends 7 docker exec c1 sh -c 'exit 7'
        is '1000:2000 /tmp 1 2' docker exec --user 1000:2000 --workdir /tmp --env B=2 c1 sh -c 'echo $(id -u):$(id -g) $(pwd) $A $B'
        docker exec -d c1 touch /detached
        wait_for 10 docker exec c1 test -e /detached
        is 'running 0' state_of c1
    }
    compare 'exec'
}

@test "exec: what can't be started" {
    steps() {
        forever c1
        ends 126 docker exec c1 nosuchprogram
        ends 126 docker exec c1 /no/such/program
        ends 126 docker exec c1 /etc/notexec
        is 'running 0' state_of c1
    }
    compare 'exec: what cannot be started'
}

@test "exec -it: a terminal" {
    steps() {
        forever c1
        has 'status 5' on_terminal expect='# ' send='tty\n' expect='/dev/pts/0' send='exit 5\n' -- /usr/bin/docker exec -it --env 'PS1=# ' c1 sh
        has 'status 6' on_terminal expect=ready size=30x100 winch='30 100' send='\x03' -- /usr/bin/docker exec -it c1 sh -c 'trap "stty size" WINCH
            trap "exit 6" INT; echo ready; while :; do sleep 0.05; done'
    }
    compare 'exec -it'
}

# has_sys_admin COMMAND...: that prints a /proc/PID/status.
has_sys_admin() { [ $((0x$("$@" | sed -n 's/CapEff:.//p') >> 21 & 1)) = 1 ]; }

@test "exec --privileged" {
    steps() {
        forever c1
        is 'CapEff:	00000000a80425fb' docker exec c1 grep CapEff /proc/self/status
        docker exec --privileged c1 true
        has_sys_admin docker exec --privileged c1 cat /proc/self/status
    }
    compare 'exec --privileged'
}

@test "stop, kill, wait" {
    steps() {
        forever c1
        docker kill --signal USR1 c1
        wait_for 10 logged c1 'got USR1'
        docker wait c1 >"$BATS_TEST_TMPDIR/wait" &
        docker stop c1
        wait $!
        is 3 cat "$BATS_TEST_TMPDIR/wait"
        logged c1 'got TERM'
        docker start c1
        wait_for 10 in_state c1 'running 0'
        docker kill c1
        is 'exited 137' state_of c1
        drun -d --name d1 "$IMAGE" sleep 1000
        docker stop --time 1 d1
        is 'exited 137' state_of d1
        drun -d --name e1 --stop-signal USR2 "$IMAGE" sh -c 'trap "exit 9" USR2; echo ready; while :; do sleep 0.05; done'
        wait_for 10 logged e1 ready
        docker stop e1
        is 'exited 9' state_of e1
    }
    compare 'stop, kill, wait'
}

@test "create, start, restart, rename, rm" {
    steps() {
        docker create --runtime "t-$RT" --name c1 "$IMAGE" sh -c 'echo once; exec sleep 1000' >/dev/null
        is 'created 0' state_of c1
        docker start c1
        wait_for 10 logged c1 once
        docker restart --time 0 c1
        wait_for 10 is $'once\nonce' docker logs c1
        docker rename c1 d1
        ends 1 docker rm d1
        docker rm --force d1
        docker create --runtime "t-$RT" --name e1 "$IMAGE" true
        docker rm e1
        drun --rm --name f1 -d "$IMAGE" sleep 1000
        docker kill f1
        wait_for 10 eval '! docker inspect f1 >/dev/null 2>&1'
    }
    compare 'create, start, restart, rename, rm'
}

@test "pause, unpause" {
    steps() {
        forever c1
        docker pause c1
        is 'paused 0' state_of c1
        ends 1 docker exec c1 true
        docker unpause c1
        is 'running 0' state_of c1
        docker exec c1 true
        docker pause c1
        docker rm --force c1
    }
    compare 'pause, unpause'
}

@test "stats, top" {
    steps() {
        forever c1 --memory 64m
        [[ $(docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' c1) =~ ^c1\ .*'/ 64MiB '[1-9] ]]
        has "$(inspect c1 .State.Pid)" docker top c1
        has 'sh -c trap' docker top c1 -o pid,args
    }
    compare 'stats, top'
}

@test "update" {
    steps() {
        forever c1 --memory 64m
        docker update --memory 128m --memory-swap 256m --cpus 0.5 --pids-limit 50 --cpuset-cpus 0 --cpu-shares 512 c1
        is 134217728 limit c1 memory memory.limit_in_bytes memory.max
        has 50000 limit c1 cpu cpu.cfs_quota_us cpu.max
        is 50 limit c1 pids pids.max pids.max
        is 0 docker exec c1 sh -c 'sed -n "s/Cpus_allowed_list:.//p" /proc/self/status'
    }
    compare 'update'
}

@test "logs" {
    steps() {
        drun -d --name c1 "$IMAGE" sh -c 'for i in 1 2 3; do echo line $i; done; echo wrong >&2'
        docker wait c1
        [ "$(docker logs c1 2>/dev/null)" = $'line 1\nline 2\nline 3' ]
        [ "$(docker logs c1 2>&1 >/dev/null)" = wrong ]
        forever d1
        # What is written just before the end may be lost to who follows, not to who asks again.
        docker logs --follow d1 >"$BATS_TEST_TMPDIR/follow" &
        docker kill --signal USR1 d1
        wait_for 10 is $'ready\ngot USR1' cat "$BATS_TEST_TMPDIR/follow"
        docker stop d1
        wait $!
        is $'ready\ngot USR1\ngot TERM' docker logs d1
    }
    compare 'logs'
}

@test "restart policy" {
    steps() {
        drun -d --name c1 --restart on-failure:2 "$IMAGE" sh -c 'echo again; exit 4'
        wait_for 20 in_state c1 'exited 4'
        is 2 inspect c1 .RestartCount
        is $'again\nagain\nagain' docker logs c1
        drun -d --name d1 --restart always "$IMAGE" sh -c 'echo again; exec sleep 1000'
        wait_for 10 logged d1 again
        kill -KILL "$(inspect d1 .State.Pid)"
        wait_for 10 eval '[ "$(inspect d1 .RestartCount) $(state_of d1)" = "1 running 0" ]'
    }
    compare 'restart policy'
}

@test "healthcheck" {
    steps() {
        drun -d --name c1 --health-cmd 'test -e /tmp/healthy' --health-interval 100ms --health-retries 2 "$IMAGE" sleep 1000
        wait_for 20 eval '[ "$(inspect c1 .State.Health.Status)" = unhealthy ]'
        docker exec c1 touch /tmp/healthy
        wait_for 20 eval '[ "$(inspect c1 .State.Health.Status)" = healthy ]'
    }
    compare 'healthcheck'
}

@test "events, cp, diff, commit, export" {
    steps() {
        local since
        since=$(date +%s)
        forever c1
        echo text >"$BATS_TEST_TMPDIR/file"
        docker cp "$BATS_TEST_TMPDIR/file" c1:/tmp/copied
        is text docker exec c1 cat /tmp/copied
        is text sh -c 'docker cp c1:/tmp/copied - | tar xO'
        has 'A /tmp/copied' docker diff c1
        docker exec c1 true
        docker commit c1 committed:test
        docker export c1 | tar t | grep -q tmp/copied
        docker stop c1
        docker events --since "$since" --until "$(($(date +%s) + 1))" --filter "container=$(inspect c1 .Id)" --format '{{.Action}}' | sed 's/:.*//' | sort -u | tr '\n' ' ' | tee /dev/stderr |
            grep -q ' commit create die exec_create exec_die exec_start export .*kill .*start stop '
        is text drun --rm committed:test cat /tmp/copied
        docker rmi committed:test
    }
    compare 'events, cp, diff, commit, export'
}

@test "several at once" {
    steps() {
        local i pids=() status
        for i in 1 2 3 4 5 6; do
            drun --rm "$IMAGE" sh -c "echo $i; exit 1$i" >"$BATS_TEST_TMPDIR/$i" &
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

@test "a shim that is killed" {
    steps() {
        local pid
        forever c1
        pid=$(inspect c1 .State.Pid)
        kill -KILL "$(awk '{ print $4 }' "/proc/$pid/stat")"
        wait_for 10 eval '[ ! -e /proc/'"$pid"' ]'
        wait_for 10 in_state c1 'exited 137'
        docker start c1
        is 'running 0' state_of c1
    }
    compare 'a shim that is killed'
}
