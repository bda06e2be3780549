# Docker, from Debian's packages: everything its command line offers that reaches the runtime.
# Needs: dockerd docker containerd runc crun jq script
load callers
CALLER=docker

setup_file() {
    export DOCKER_HOST=unix:///run/docker.sock DOCKER_CONFIG=$WORLD/client
    mkdir "$DOCKER_CONFIG"
    # "runc" is a reserved name.
    snippet docker.md daemon.json | jq '.runtimes += {"t-runc": {path: "/usr/sbin/runc"}, "t-crun": {path: "/usr/bin/crun"}}
        | .runtimes["t-drupe"] = .runtimes.drupe' >"$WORLD/daemon.json"
    daemon "$WORLD/dockerd.log" dockerd --config-file "$WORLD/daemon.json" --data-root "$WORLD/docker" --exec-root /run/docker \
        -p "$WORLD/docker.pid" -H "$DOCKER_HOST"
    wait_for 30 docker version >/dev/null || { cat "$WORLD/dockerd.log"; return 1; }
    "$BATS_TEST_DIRNAME/image" "$WORLD/busybox.tar"
    docker load -q -i "$WORLD/busybox.tar"
}

docker() { timeout -k 5 60 /usr/bin/docker "$@"; }
drun() { docker run --runtime "t-$RT" "$@"; }

# Everything of a container goes with it.
after_steps() {
    docker ps -aq | xargs -r timeout 60 docker rm -f -v >/dev/null
    wait_for 10 nothing_left
}
nothing_left() { [ -z "$(find /run/docker/runtime-runc/moby /sys/fs/cgroup/*/docker -mindepth 1 -maxdepth 1 -type d 2>/dev/null)" ]; }

@test "docker run: output and status" {
    steps() {
        is hello drun --rm busybox:test echo hello
        ends 7 drun --rm busybox:test sh -c 'exit 7'
    }
    compare 'run'
}
