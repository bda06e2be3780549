# shellcheck disable=SC2016 # texts for the inner shell
# Docker, from Debian's packages, with --userns-remap, and with --live-restore.
# Needs: dockerd docker containerd runc crun jq python3
load callers
load docker
CALLER=docker

setup_file() { begin_docker '."userns-remap" = "dockremap" | ."live-restore" = true'; }

@test "--userns-remap" {
    steps() {
        has '         0    2000000    1000000' drun --rm "$IMAGE" cat /proc/self/uid_map
        forever c1
        is 2000000 stat -c %u "/proc/$(inspect c1 .State.Pid)"
        is '0 0' docker exec c1 sh -c 'touch /x && stat -c "%u %g" /x'
        is 0 docker exec c1 id -u
        is 1000 docker exec --user 1000 c1 id -u
        drun --rm --read-only --tmpfs /tmp --user 1000 "$IMAGE" touch /tmp/x
        docker volume create "v-$RT"
        drun --rm -v "v-$RT:/data" "$IMAGE" sh -c 'echo kept >/data/x'
        is kept drun --rm -v "v-$RT:/data" "$IMAGE" cat /data/x
        docker volume rm "v-$RT"
        ends 1 docker exec c1 sh -c 'echo 1 >/proc/sys/kernel/panic'
        ends 7 drun --rm "$IMAGE" sh -c 'exit 7'
        ends 127 drun --rm "$IMAGE" nosuchprogram
        docker stop c1
        is 'exited 3' state_of c1
    }
    compare '--userns-remap'
}

@test "--userns-remap: a terminal" {
    steps() {
        has 'status 5' on_terminal expect='# ' send='tty; touch /dev/pts/0 && id -u\n' expect='0' send='exit 5\n' -- \
            /usr/bin/docker run --runtime "t-$RT" --rm -it --env 'PS1=# ' "$IMAGE" sh
    }
    compare '--userns-remap: a terminal'
}

@test "--userns-remap: --userns host" {
    steps() { has '         0          0 4294967295' drun --rm --userns host "$IMAGE" cat /proc/self/uid_map; }
    compare '--userns-remap: --userns host'
}

@test "--live-restore: dockerd ends and comes back" {
    steps() {
        local pid
        forever c1
        pid=$(inspect c1 .State.Pid)
        kill -KILL "$(cat "$WORLD/docker.pid")" "$(cat /run/docker/containerd/containerd.pid)"
        wait_for 10 eval '! docker version >/dev/null 2>&1'
        start_docker
        is "$pid" inspect c1 .State.Pid
        is hello docker exec c1 echo hello
        docker pause c1
        docker unpause c1
        docker stop c1
        is 'exited 3' state_of c1
    }
    compare '--live-restore'
}
