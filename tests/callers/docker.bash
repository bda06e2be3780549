# docker.bash - dockerd in the world of callers.bash; loaded after callers
#
#   begin_docker [JQ-PROGRAM]   in setup_file: starts dockerd with the configuration of docs/docker.md, changed by the program, and loads
#                               $IMAGE. Each runtime is also registered as t-NAME, since the name "runc" is reserved
#   docker ARG...               the client, with a limit of time
#   drun ARG...                 `docker run` with the runtime under comparison, $RT
#   forever NAME [OPTION]...    a container that runs until it gets SIGTERM, and then ends with status 3; SIGUSR1 makes it say so
#   on_terminal STEP... -- COMMAND...   tests/lib/terminal.py without carriage returns
#   state_of NAME               e.g. "running 0", "exited 3"
#   inspect NAME FIELD          e.g. .State.Pid

IMAGE=busybox:test

begin_docker() {
    export DOCKER_HOST=unix:///run/docker.sock DOCKER_CONFIG=$WORLD/client DOCKER_BUILDKIT=0
    mkdir -p "$DOCKER_CONFIG" "$WORLD/bin"
    snippet docker.md daemon.json | jq '.runtimes["t-drupe"] = .runtimes.drupe
        | .runtimes["t-runc"].path = "/usr/sbin/runc" | .runtimes["t-crun"].path = "/usr/bin/crun"' | jq "${1:-.}" >"$WORLD/daemon.json"
    start_docker
    "$BATS_TEST_DIRNAME/image" "$WORLD/busybox.tar"
    docker load -q -i "$WORLD/busybox.tar"
}

# BuildKit takes the program `runc` of the PATH, whatever is registered: $WORLD/bin is for the tests of that.
start_docker() {
    PATH=$WORLD/bin:$PATH daemon "$WORLD/dockerd.log" dockerd --config-file "$WORLD/daemon.json" --data-root "$WORLD/docker" \
        --exec-root /run/docker --pidfile "$WORLD/docker.pid" -H "$DOCKER_HOST"
    wait_for 30 docker version >/dev/null && return
    cat "$WORLD/dockerd.log"
    return 1
}

docker() { timeout -k 5 120 /usr/bin/docker "$@"; }
drun() { docker run --runtime "t-$RT" "$@"; }
forever() {
    local name=$1
    shift
    drun -d --name "$name" "$@" $IMAGE sh -c 'trap "echo got TERM; exit 3" TERM; trap "echo got USR1" USR1; echo ready
        while :; do sleep 0.05; done'
    wait_for 10 logged "$name" ready
}
logged() { docker logs "$1" 2>&1 | grep -q "$2"; }
inspect() { docker inspect --format "{{$2}}" "$1"; }
state_of() { docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' "$1"; }
in_state() { [ "$(state_of "$1")" = "$2" ]; }
on_terminal() { "$LIB/terminal.py" 24x80 "$@" | tr -d '\r'; }

# limit NAME V1-CONTROLLER FILE V2-FILE: what the container's cgroup says.
limit() {
    local id
    id=$(inspect "$1" .Id)
    if [ -d /sys/fs/cgroup/memory ]; then cat "/sys/fs/cgroup/$2/docker/$id/$3"; else cat "/sys/fs/cgroup/docker/$id/$4"; fi
}

# Everything of a container goes with it. (The group "buildkit" is made by BuildKit itself, and kept.)
after_steps() {
    docker ps --all --quiet | xargs -r timeout 120 docker rm --force --volumes >/dev/null
    wait_for 10 nothing_left
}
nothing_left() {
    [ -z "$(find /run/docker/runtime-runc/moby /sys/fs/cgroup/docker /sys/fs/cgroup/*/docker -mindepth 1 -type d ! -name buildkit 2>/dev/null)" ]
}
