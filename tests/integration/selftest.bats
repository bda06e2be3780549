#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell and for jq
# The harness itself: a leak must fail the test that leaks, and the probe and the configs must be what other files build on.
load helpers

# leaking_test BODY: runs a test with that body in another bats; it must fail, and what it says is in $output.
leaking_test() {
    local file=$BATS_TEST_TMPDIR/inner/inner.bats
    mkdir -p "$BATS_TEST_TMPDIR/inner"
    ln -sfn "$LIB" "$BATS_TEST_TMPDIR/lib"
    cp "$BATS_TEST_DIRNAME/helpers.bash" "$BATS_TEST_TMPDIR/inner"
    printf 'load helpers\n@test "inner" {\n%s\n}\n' "$1" >"$file"
    LEAK_WAIT_MS=100 run -1 bats --tap "$file" 3>&-
    [[ "$output" == *"not ok 1 inner"* ]]
}

@test "a test that fails says where, by the calls that led there" {
    leaking_test $':\nshort() {\n[[ "$1" = long ]]\n}\nwhole() { short "$1"; }\n:\nwhole brief\n:'
    [[ "$output" == *"(from function \`short' in file "*"inner.bats, line 5,"* ]]
    [[ "$output" == *"from function \`whole' in file "*"inner.bats, line 7,"* ]]
    [[ "$output" == *"in test file "*"inner.bats, line 9)"*"\`whole brief' failed"* ]]
    leaking_test $'false || :\ntrue && false\ntrue'
    [[ "$output" == *"inner.bats, line 4)"*"\`true && false' failed"* ]]
}

@test "leak check: a test that leaves nothing passes" {
    local file=$BATS_TEST_TMPDIR/inner/inner.bats
    mkdir -p "$BATS_TEST_TMPDIR/inner"
    ln -sfn "$LIB" "$BATS_TEST_TMPDIR/lib"
    cp "$BATS_TEST_DIRNAME/helpers.bash" "$BATS_TEST_TMPDIR/inner"
    printf 'load helpers\n@test "inner" {\n sleep 0 & wait\n}\n' >"$file"
    run -0 bats --tap "$file" 3>&-
}

@test "leak check: a process left behind" {
    [ -n "${REAPER_PID-}" ] || skip "needs tests/integration/run"
    leaking_test '(setsid sleep 7777 >/dev/null 2>&1 3>&- &)'
    [[ "$output" == *"process "*"sleep 7777"* ]]
    run -1 pgrep -x -f 'sleep 7777'
}

@test "leak check: a job of the test left behind" {
    leaking_test 'sleep 7778 >/dev/null 2>&1 3>&- &'
    [[ "$output" == *"process "*"sleep 7778"* ]]
    run -1 pgrep -x -f 'sleep 7778'
}

@test "leak check: a mount left behind" {
    leaking_test "mkdir $BATS_TEST_TMPDIR/m; mount -t tmpfs none $BATS_TEST_TMPDIR/m"
    [[ "$output" == *"mount "*"$BATS_TEST_TMPDIR/m"* ]]
    run ! mountpoint -q "$BATS_TEST_TMPDIR/m"
}

@test "leak check: a mount taken away" {
    mkdir "$BATS_TEST_TMPDIR/m"
    mount -t tmpfs none "$BATS_TEST_TMPDIR/m"
    leaking_test "umount $BATS_TEST_TMPDIR/m"
    [[ "$output" == *"gone: mount "*"$BATS_TEST_TMPDIR/m"* ]]
}

@test "leak check: a cgroup left behind" {
    local any
    any=$(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs -printf '%h\n' -quit)
    [ -n "$any" ] || skip "no cgroup file system"
    leaking_test "mkdir $any/\$(container_id)"
    [[ "$output" == *"cgroup $any/t"* ]]
}

@test "leak check: a state directory left behind" {
    leaking_test 'mkdir "$ROOT/box"'
    [[ "$output" == *"state "*"/root/box"* ]]
}

@test "leak check: shared memory left behind" {
    leaking_test 'touch "/dev/shm/$TOKEN"'
    [[ "$output" == *"shared memory /dev/shm/t"* ]]
    rm -f /dev/shm/t*-*
}

@test "leak check: a failed test keeps its own reason" {
    leaking_test 'mkdir "$ROOT/box"; false'
    [[ "$output" != *"left behind"* ]]
}

@test "probe: prints facts, several commands at once" {
    run -0 "$PROBE" nnp , cwd , echo a b
    [ "${lines[0]}" = "nnp 0" ]
    [ "${lines[1]}" = "cwd $PWD" ]
    [ "${lines[2]}" = "a b" ]
}

@test "probe: exit status, signals, errors" {
    run -7 "$PROBE" exit 7
    run -143 "$PROBE" signal 15
    run -2 "$PROBE" nonsense
    run -2 "$PROBE" stat
    run -0 "$PROBE" open /nonexistent r
    [ "$output" = "open error ENOENT" ]
}

@test "bundle: config edits are seen, the template is not touched" {
    setup_bundle
    args /probe echo -c 'two words'
    config --arg name other '.hostname = $name'
    [ "$(jq -c '[.hostname, .process.args]' "$BUNDLE/config.json")" = '["other",["/probe","echo","-c","two words"]]' ]
    echo changed >"$BUNDLE/rootfs/probe"
    setup_bundle second
    cmp "$PROBE" "$BUNDLE/rootfs/probe"
}

@test "bundle: args become strings whatever they hold, also where the config has none" {
    setup_bundle
    words=('' 'a "b" \c' $'two\nlines\t\001' 'ünï' '{"args": []}')
    for edit in . 'del(.process.args)' 'del(.process)' '{}' '{process: {}}' '{a: {process: {args: [1]}}, process: {user: {args: 2}, args: [{"args": "]"}, "x"], cwd: "/"}}'; do
        config "$edit"
        want=$(jq -c '.process.args = $ARGS.positional' --args "${words[@]}" <"$BUNDLE/config.json" | jq -c .)
        args "${words[@]}"
        [ "$(jq -c . "$BUNDLE/config.json")" = "$want" ]
        args
        [ "$(jq -c .process.args "$BUNDLE/config.json")" = '[]' ]
    done
}

@test "limit: the status is the program's, signals are passed on, and the time ends it" {
    run -7 "$HARNESS" limit 10 "$PROBE" exit 7
    run -143 "$HARNESS" limit 10 "$PROBE" signal 15
    run -127 "$HARNESS" limit 10 /nonexistent
    run -124 "$HARNESS" limit 1 sleep 1000
    "$HARNESS" limit 10 sh -c 'echo up; exec sleep 1000' >"$BATS_TEST_TMPDIR/out" 3>&- &
    wait_for 5 grep -q up "$BATS_TEST_TMPDIR/out"
    kill -TERM $!
    status=0
    wait $! || status=$?
    [ "$status" -eq 143 ]
}

@test "bundle: the Docker-like config has its profile resolved for this machine" {
    setup_bundle
    docker_like
    run -0 jq -r '.linux.seccomp | .architectures[0], (.syscalls | map(keys) | add | unique | join(" ")),
        (.syscalls | map(select(.names | index("chroot"))) | map(.action) | unique | join(" ")),
        (.syscalls | map(select((.names | index("bpf")) and .action == "SCMP_ACT_ALLOW")) | length)' "$BUNDLE/config.json"
    [ "${lines[0]}" = SCMP_ARCH_X86_64 ]
    [ "${lines[1]}" = "action args errnoRet names" ]
    [ "${lines[2]}" = SCMP_ACT_ALLOW ]
    [ "${lines[3]}" = 0 ]
}

@test "container: runs, and its exit status is ours" {
    setup_bundle
    args /probe ids , exit 3
    run_container
    [ "$status" = 3 ]
    [[ "$output" == *"pid 1"* ]]
}

@test "container: runs with the Docker-like config" {
    setup_bundle
    docker_like
    args /probe caps , seccomp , syscall 321
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *"effective 00000000a80425fb"* ]]
    [[ "$output" == *"mode 2"* ]]
}
