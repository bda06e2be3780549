# shellcheck disable=SC2016 # texts for the inner shell
# The world that callers run in: what it offers, and that nothing of it stays.
bats_require_minimum_version 1.5.0
WORLD_SCRIPT=$BATS_TEST_DIRNAME/world

# The groups of worlds that this shell started, in any hierarchy: their names have the process id of the script.
groups_of() { find /sys/fs/cgroup -type d -name "world-$1" 2>/dev/null; }
no_group_of() { [ -z "$(groups_of "$1")" ]; }
written() { [ -s "$1" ]; }
gone() { ! kill -0 "$1" 2>/dev/null; }
eventually() {
    local tries
    for ((tries = 0; tries < 3000; tries++)); do
        ! "$@" || return 0
        sleep 0.02
    done
    return 1
}

# begin_world SCRIPT: in the background, until it has written to $BATS_TEST_TMPDIR/ready. Its id is $world.
begin_world() {
    "$WORLD_SCRIPT" sh -c "$1" sh "$BATS_TEST_TMPDIR/ready" </dev/null >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    world=$!
    eventually written "$BATS_TEST_TMPDIR/ready"
    [ -n "$(groups_of $world)" ]
}

@test "the status and the streams are the command's" {
    run --separate-stderr "$WORLD_SCRIPT" sh -c 'cat; echo wrong >&2; exit 7' <<<right
    [ "$status" = 7 ]
    [ "$output" = right ]
    [ "$stderr" = wrong ]
    run "$WORLD_SCRIPT" sh -c 'kill -USR1 $$'
    [ "$status" = 138 ]
}

@test "namespaces, /run, /etc and /var/lib are its own" {
    touch "$BATS_TEST_TMPDIR/etc"
    run "$WORLD_SCRIPT" sh -euc '
        for ns in mnt pid net uts ipc cgroup; do echo "$ns $(readlink /proc/self/ns/$ns)"; done
        [ -z "$(find /run -mindepth 1 -maxdepth 1 ! -name lock ! -name "world*" ! -name mount)" ]
        ip -o link show lo | grep -q UP
        grep -q "^dockremap:" /etc/subuid
        echo x >/etc/drupe-world-test; echo x >/var/lib/drupe-world-test
        echo x >"$WORLD/file"; echo x >"$TMPDIR/file"
        [ -c /dev/null ] && chmod 600 /dev/null'
    [ "$status" = 0 ]
    for ns in mnt pid net uts ipc cgroup; do
        [[ $output == *"$ns $ns:"* ]]
        [[ $output != *"$(readlink /proc/self/ns/$ns)"* ]]
    done
    [ ! -e /etc/drupe-world-test ] && [ ! -e /var/lib/drupe-world-test ] && [ ! -e /run/world ]
    [ "$(stat -c %a /dev/null)" = 666 ]
}

@test "its cgroups are the root of what it sees, and can be divided" {
    run "$WORLD_SCRIPT" sh -euc '
        grep -v -e :/$ -e :/init$ /proc/self/cgroup && exit 1
        for group in $(findmnt -rn -o TARGET -t cgroup,cgroup2); do
            mkdir "$group/x"
            [ ! -e "$group/cpuset.cpus" ] || for file in cpuset.cpus cpuset.mems; do cat "$group/$file" >"$group/x/$file"; done
            sh -c "echo 0 >$group/x/cgroup.procs"
            rmdir "$group/x"
        done
        if [ -e /sys/fs/cgroup/unified ]; then [ -z "$(cat /sys/fs/cgroup/unified/cgroup.controllers)" ]; fi'
    echo "$output"
    [ "$status" = 0 ]
}

@test "killed by SIGKILL it leaves nothing, not even a frozen process" {
    begin_world 'sleep 1000 & setsid sleep 1001 & g=$(ls -d /sys/fs/cgroup/freezer 2>/dev/null || echo /sys/fs/cgroup)/x; mkdir $g
        for p in $(pgrep -x sleep); do echo $p >$g/cgroup.procs; done
        if [ -e $g/freezer.state ]; then echo FROZEN >$g/freezer.state; else echo 1 >$g/cgroup.freeze; fi
        echo ready >"$1"; wait'
    inside=$(pgrep -P "$(pgrep -P $world -x unshare)")
    kill -KILL $world
    eventually no_group_of $world
    eventually gone "$inside"
}

@test "SIGTERM ends it, and it waits until nothing is left" {
    begin_world 'setsid sleep 1000 & echo ready >"$1"; wait'
    kill -TERM $world
    status=0
    wait $world || status=$?
    [ "$status" = 143 ]
    no_group_of $world
}

@test "the image is made the same each time" {
    "$BATS_TEST_DIRNAME/image" "$BATS_TEST_TMPDIR/1.tar"
    "$BATS_TEST_DIRNAME/image" "$BATS_TEST_TMPDIR/2.tar"
    cmp "$BATS_TEST_TMPDIR/1.tar" "$BATS_TEST_TMPDIR/2.tar"
}
