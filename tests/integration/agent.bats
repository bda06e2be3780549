#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for inner shells
# The guest's agent, without a virtual machine: process 1 of namespaces of its own, spoken to over a unix socket as over vsock. What the
# host's side may say and what the agent answers is hwvirt-sandbox/proto/message.h.
load helpers

PROGRAMS=$(dirname "$PROBE")
AGENT=$PROGRAMS/../../hwvirt-sandbox/agent

setup() {
    begin_test
    setup_bundle
    config '.linux.cgroupsPath = "/drupe/" + $id | .process.terminal = false' --arg id "$TOKEN"
}

# host LINE...: what the host says; $output is what it hears
host() {
    # The socket's path must be short.
    SOCKET=$(mktemp -u /tmp/agent.XXXXXX)
    run timeout --foreground -k 5 $((60 * ${DRUPE_SLOW:-1})) "$PROGRAMS/agent_host" "$AGENT" "$BUNDLE" "$SOCKET" < <(printf '%s\n' "$@") 3>&-
    rm -f "$SOCKET"
    [ "$status" = 0 ]
}

heard() {
    grep -qxF -- "$1" <<<"$output" || { echo "not heard: $1"; false; }
}

script() {
    config '.process.args = ["/bin/sh", "-c", $script]' --arg script "$1"
}

@test "a container is created, started, and its exit is told; then the guest ends" {
    script 'echo to stdout; echo to stderr >&2; exit 7'
    host hello 'create 6' start 'read 0 2' 'read 0 4' 'wait 0' shutdown end
    heard 'create: ok, a process'
    heard 'start: ok, a process'
    heard 'stream 0 2: to stdout'
    heard 'stream 0 4: to stderr'
    heard 'exit 0 7'
    heard 'shutdown: ok'
    heard 'ended by signal 1'
}

@test "a program that does not exist is refused, and the guest can end" {
    args /bin/nothing
    host hello 'create 0' shutdown end
    heard 'create: error: exec: "/bin/nothing": stat /bin/nothing: no such file or directory'
    heard 'ended by signal 1'
}

@test "a program that cannot be executed is refused at its start, and its exit is told" {
    echo 'no program' >"$BUNDLE/rootfs/bin/text"
    chmod 755 "$BUNDLE/rootfs/bin/text"
    args /bin/text
    host hello 'create 0' start 'wait 0' 'signal 0 9' shutdown end
    heard 'start: error: exec: "/bin/text": exec format error'
    heard 'exit 0 1'
    heard 'signal: error: process 0 does not run'
}

@test "standard input arrives, and its end" {
    script 'cat; echo the end'
    host hello 'create 3' start 'write 0 1 some words' 'expect 0 2 some words' 'close 0 1' 'read 0 2' 'wait 0' shutdown end
    heard 'the end'
    heard 'exit 0 0'
}

@test "a megabyte through pipes that nobody reads for a while" {
    script 'dd if=/dev/zero bs=1024 count=1024 2>/dev/null | tr "\0" x | md5sum; dd if=/dev/zero bs=4096 count=256 2>/dev/null | tr "\0" y'
    host hello 'create 2' start 'wait 0' 'read 0 2' shutdown end
    heard 'exit 0 0'
    [ "$(tr -cd y <<<"$output" | wc -c)" -ge 1048576 ]
}

@test "what the container's first process is: user, capabilities, seccomp, limits, mounts, as at the OS level" {
    config '.process.user = {uid: 65534, gid: 65534} | .process.noNewPrivileges = true
        | .process.capabilities = {bounding: ["CAP_CHOWN"], permitted: [], effective: [], inheritable: []}
        | .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 100}]
        | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"],
            syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}
        | .hostname = "guest"'
    script 'id -u; hostname; ulimit -n; grep -E "^(CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; mkdir /tmp/x; echo pid $$'
    host hello 'create 6' start 'read 0 2' 'read 0 4' 'wait 0' shutdown end
    heard 'stream 0 2: 65534'
    heard guest
    heard 100
    heard $'CapBnd:\t0000000000000001'
    heard $'NoNewPrivs:\t1'
    heard $'Seccomp:\t2'
    heard 'pid 1'
    [[ $output == *'No space left on device'* ]]
}

@test "exec: streams, status, and errors; each is told once" {
    script 'sleep 1000'
    host hello 'create 0' start 'exec 2 /bin/sh -c hostname' 'read 1 2' 'wait 1' 'exec 2 /bin/nothing' 'exec 2 /bin/false' 'wait 3' \
        'signal 0 9' 'wait 0' 'exec 0 /bin/true' shutdown end
    heard 'exec: ok, a process'
    heard 'exit 1 0'
    heard 'exec: error: exec: "/bin/nothing": stat /bin/nothing: no such file or directory'
    heard 'exit 3 1'
    heard 'exit 0 137'
    heard 'exec: error: container not running'
    [ "$(grep -c '^exit 1' <<<"$output")" = 1 ]
}

@test "a hundred processes, one after the other and side by side" {
    local lines=() i
    script 'sleep 1000'
    for i in {1..20}; do lines+=("exec 0 /bin/sh -c exit" "wait $i"); done
    for i in {21..50}; do lines+=('exec 0 /bin/sleep 1000'); done
    host hello 'create 0' start "${lines[@]}" 'signal-all 9' 'wait 50' 'wait 21' 'wait 0' shutdown end
    heard 'exit 20 0'
    heard 'exit 50 137'
    heard 'exit 21 137'
    heard 'exit 0 137'
}

@test "signals reach the process they are for" {
    script 'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.05; done'
    host hello 'create 2' start 'expect 0 2 ready' 'exec 2 /bin/sh -c trap\ :\ TERM;echo\ up;while\ :;do\ sleep\ 0.05;done' 'signal 0 15' \
        'read 0 2' 'wait 0' shutdown end
    heard 'got it'
    heard 'exit 0 3'
}

@test "a container that is killed before its start has ended" {
    script 'echo never'
    host hello 'create 2' 'signal 0 9' 'wait 0' start shutdown end
    heard 'exit 0 137'
    heard 'start: error: the container has ended'
}

@test "a terminal, its size, and its end" {
    config '.process.terminal = true | .process.consoleSize = {height: 11, width: 22}'
    script 'stty size; trap "stty size; exit 0" WINCH; echo ready; while :; do sleep 0.05; done'
    host hello 'create 8' start 'expect 0 8 ready' 'winsize 0 33 44' 'wait 0' 'read 0 8' shutdown end
    [[ $output == *'11 22'*'33 44'* ]]
    heard 'exit 0 0'
}

@test "exec with a terminal; one that has none has no size" {
    script 'sleep 1000'
    host hello 'create 0' start 'exec 8 /bin/sh' 'write 1 8 tty; exit 5' 'wait 1' 'read 1 8' 'winsize 0 1 1' shutdown end
    [[ $output == *'/dev/pts/0'* ]]
    heard 'exit 1 5'
    heard 'winsize: error: process 0 has no terminal'
}

@test "ps, stats, update, pause and resume" {
    script 'echo up; sleep 1000; exit 1'
    host hello 'create 2' start 'expect 0 2 up' ps 'pids-limit 77' stats pause resume 'signal 0 9' 'wait 0' ps shutdown end
    heard 'ps sh uid 0'
    heard 'update: ok'
    [[ $output == *'limit 77'* ]]
    heard 'pause: ok'
    heard 'resume: ok'
}

@test "a paused container does not run" {
    script 'while :; do echo tick; sleep 0.01; done'
    host hello 'create 2' start 'expect 0 2 tick' pause 'signal 0 15' 'exec 0 /bin/true' 'signal-all 9' 'wait 0' shutdown end
    heard 'pause: ok'
    heard 'exec: error: cannot exec in a paused container'
    heard 'exit 0 137'
}

@test "orphans of the container are reaped, and all of it ends with the guest" {
    script '(sleep 1000 &) ; (exit 0 &) ; exit 0'
    config '.linux.namespaces |= map(select(.type != "pid"))'
    host hello 'create 0' start 'wait 0' ps shutdown end
    heard 'exit 0 0'
    [[ $output == *'ps '*' uid 0'* ]]
    heard 'ended by signal 1'
}

@test "a host that is gone ends the guest and the container in it" {
    script 'sleep 1000'
    host hello 'create 0' start lost end
    heard 'ended by signal 1'
    [ ! -d "/sys/fs/cgroup/pids/drupe/$TOKEN" ]
}

# refused WORD LINE...: the agent ends for what the host has said.
refused() {
    host "${@:2}" end
    heard 'ended by signal 1'
    [[ $output == *"agent: "*"$1"* ]]
}

@test "a host that breaks the rules ends the guest" {
    refused 'start: not now' 'raw 000000000300000001000000'
    refused 'hello: malformed' 'raw 020000000100000001000000ffff'
    refused 'a frame of 4294967295 bytes' 'raw ffffffff0100000001000000'
    refused 'a frame with flags 0x80' 'raw 000000000100800001000000'
    refused 'message 999 is not known' 'raw 00000000e703000001000000'
    refused 'hello: not now' hello 'raw 000000000100000009000000'
    refused 'exit: not a request' hello 'raw 000000002200000009000000'
    refused 'create: malformed' hello 'raw 040000000200000009000000ffffffff'
    refused 'the host speaks version 2' 'raw 18000000010000000100000002000000000000000000000000000000000000000000000000000000'
    refused 'exec: malformed' hello 'create 0' 'raw 040000000400000009000000ffffffff'
    refused 'ps: malformed' hello 'create 0' 'raw 01000000070000000900000000'
}
