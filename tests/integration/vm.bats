#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for inner shells
# Containers in virtual machines of their own: needs a KVM that can run one (in the nested lane, tools/lane nested test vm) and the guest
# kernel, as build/guest-kernel/vmlinux or DRUPE_GUEST_KERNEL.
load helpers
load inside

setup() {
    begin_test
    needs_vm
    export DRUPE_TIMEOUT=300
    setup_bundle
}

teardown() {
    end_test
    [ -z "${SHARE-}" ] || rm -rf --one-file-system "$SHARE"
}

script() { args /bin/sh -c "$1"; }

run_vm() {
    run drupe run --vm --bundle "$BUNDLE" "$TOKEN"
    output=${output//$'\r'/}
    echo "$output"
}

@test "run: another kernel, the container's files, its output and its status" {
    script 'uname -r; echo to stderr >&2; echo new >/new; cat /etc/passwd; exit 3'
    run_vm
    [ "$status" = 3 ]
    [ "${lines[0]}" != "$(uname -r)" ]
    [[ ${lines[0]} == 6.1.* ]]
    grep -qx 'to stderr' <<<"$output"
    grep -q '^root:x:0:0' <<<"$output"
    [ "$(cat "$BUNDLE/rootfs/new")" = new ]
}

is() { [ "$(drupe state "$TOKEN" | jq -r .status)" = "$1" ]; }

@test "create, state, start, kill, delete" {
    script 'trap "echo got TERM; exit 9" TERM; echo up; while :; do sleep 0.1; done'
    detached create --vm --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$TOKEN"
    is created
    local pid
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    [ "$(cat "/proc/$pid/comm")" = drupe-vm ]
    [ ! -s "$BATS_TEST_TMPDIR/out" ]
    run ! drupe delete nobody
    # The standard streams are create's.
    drupe start "$TOKEN"
    is running
    wait_for 120 grep -qx up "$BATS_TEST_TMPDIR/out"
    run ! drupe delete "$TOKEN"
    drupe kill "$TOKEN" TERM
    wait_for 120 is stopped
    grep -qx 'got TERM' "$BATS_TEST_TMPDIR/out"
    drupe delete "$TOKEN"
    wait_for 5 test ! -e "/proc/$pid/fd" # until it is reaped
}

@test "kill -9 and delete --force end the machine and all of its processes" {
    script 'echo up; sleep 1000'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    wait_for 120 grep -qx up "$BATS_TEST_TMPDIR/out"
    drupe kill "$TOKEN" KILL
    wait_for 120 is stopped
    drupe delete "$TOKEN"
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    drupe delete --force "$TOKEN"
}

@test "status 128 and the signal; a program that does not exist; one that cannot be executed" {
    script 'kill -TERM $$'
    config 'del(.linux.namespaces[] | select(.type == "pid"))'
    run_vm
    [ "$status" = 143 ]
    args /bin/nothing
    run_vm
    [ "$status" = 1 ]
    grep -q 'exec: "/bin/nothing": stat /bin/nothing: no such file or directory' <<<"$output"
    echo 'no program' >"$BUNDLE/rootfs/bin/text"
    chmod 755 "$BUNDLE/rootfs/bin/text"
    args /bin/text
    run_vm
    [ "$status" = 1 ]
    grep -q 'exec format error' <<<"$output"
}

@test "standard input arrives, with its end; a megabyte comes out" {
    script 'cat; echo the end; dd if=/dev/zero bs=4096 count=256 2>/dev/null | tr "\0" y'
    drupe run --vm --bundle "$BUNDLE" "$TOKEN" < <(echo some words) >"$BATS_TEST_TMPDIR/all"
    [ "$(head -n 2 "$BATS_TEST_TMPDIR/all")" = $'some words\nthe end' ]
    [ "$(tr -cd y <"$BATS_TEST_TMPDIR/all" | wc -c)" = 1048576 ]
}

@test "volumes, read-only ones and a read-only root" {
    mkdir "$BATS_TEST_TMPDIR/rw" "$BATS_TEST_TMPDIR/ro"
    echo one >"$BATS_TEST_TMPDIR/ro/file"
    config --arg d "$BATS_TEST_TMPDIR" '.root.readonly = true | .mounts += [
        {destination: "/rw", type: "bind", source: ($d + "/rw"), options: ["rbind"]},
        {destination: "/ro", type: "bind", source: ($d + "/ro"), options: ["rbind", "ro"]},
        {destination: "/file", type: "bind", source: ($d + "/ro/file"), options: ["bind"]},
        {destination: "/tmp", type: "tmpfs", source: "tmpfs"}]'
    script 'cat /ro/file /file; echo two >/rw/new; echo x >/ro/new; echo x >/new; echo three >/tmp/x && cat /tmp/x'
    run_vm
    [ "$status" = 0 ]
    [ "$(grep -cx one <<<"$output")" = 2 ]
    [ "$(cat "$BATS_TEST_TMPDIR/rw/new")" = two ]
    [ "$(grep -c 'Read-only file system' <<<"$output")" = 2 ]
    grep -qx three <<<"$output"
}

@test "the POSIX suite passes through a guest" {
    SHARE=$(mktemp -d -p /var/tmp vm.XXXXXX) # on a disk, as in fuse.bats
    cp "${PROBE%/*}/posix_suite" "$BUNDLE/rootfs/posix_suite"
    config --arg s "$SHARE" '.mounts += [{ destination: "/share", type: "bind", source: $s, options: ["rbind"] }]
        | (.process.capabilities[] |= . + ["CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH", "CAP_LEASE", "CAP_LINUX_IMMUTABLE"])'
    args /posix_suite /share
    DRUPE_TIMEOUT=900 run_vm
    [ "$status" = 0 ]
    [ "$(grep -c '^ok' <<<"$output")" -gt 40 ]
    [ "$(find "$SHARE" -mindepth 1 -maxdepth 1 -type d -user root | wc -l)" = 41 ] # each case leaves its directory
}

@test "users, capabilities, limits and seccomp hold inside" {
    config '.process.user = {uid: 1000, gid: 1000} | .process.capabilities = {bounding: ["CAP_CHOWN"]}
        | .process.rlimits = [{type: "RLIMIT_NOFILE", soft: 100, hard: 100}]
        | .linux.resources.pids = {limit: 7} | .linux.resources.memory = {limit: 67108864}
        | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"],
            syscalls: [{names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 28}]}'
    script 'id -u; hostname; ulimit -n; grep -E "^(CapBnd|NoNewPrivs|Seccomp):" /proc/self/status; mkdir /dev/shm/x
        cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/memory.max; echo $$'
    run_vm
    local expected
    for expected in 1000 test 100 $'CapBnd:\t0000000000000001' $'NoNewPrivs:\t1' $'Seccomp:\t2' 7 67108864 1; do
        grep -qxF -- "$expected" <<<"$output"
    done
    grep -q 'No space left on device' <<<"$output"
}

@test "a terminal in the foreground, and its size" {
    config '.process.terminal = true'
    script 'tty; stty size; trap "stty size; exit 4" WINCH; echo ready; read -r word; echo "got $word"; while :; do sleep 0.1; done'
    DRUPE_SLOW=15 run "$LIB/terminal.py" 11x22 expect=ready 'send=word\n' 'expect=got word' size=33x44 'winch=33 44' -- \
        "$RUNTIME" --root "$ROOT" run --vm --bundle "$BUNDLE" "$TOKEN"
    output=${output//$'\r'/}
    echo "$output"
    grep -qx /dev/pts/0 <<<"$output"
    grep -qx '11 22' <<<"$output"
    grep -qx 'status 4' <<<"$output"
    grep -qx 'restored yes' <<<"$output"
}

@test "a guest that panics, and a machine that is killed, are told as such" {
    config '.linux.readonlyPaths = [] | .linux.maskedPaths = [] | (.process.capabilities[]) |= . + ["CAP_SYS_ADMIN"]
        | .linux.resources.memory = {limit: 33554432}'
    script 'mount -o remount,rw /proc/sys 2>/dev/null; echo 2 >/proc/sys/vm/panic_on_oom && echo up; exec tail /dev/zero'
    run_vm
    [ "$status" = 255 ]
    grep -q 'Kernel panic' <<<"$output"
    script 'echo up; sleep 1000'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    local machine
    machine=$(pgrep -x drupe-machine)
    kill -KILL "$machine"
    wait_for 120 is stopped
    drupe delete "$TOKEN"
}

@test "exec: streams, status, settings, user names, a terminal, detached" {
    script 'echo up; sleep 1000'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    run drupe exec "$TOKEN" /bin/sh -c 'uname -r; cat; echo to stderr >&2; hostname; grep -c . /proc/1/cgroup; exit 7' < <(echo typed)
    echo "$output"
    [ "$status" = 7 ]
    [[ ${lines[0]} == 6.1.* ]] && [ "${lines[0]}" != "$(uname -r)" ]
    grep -qx typed <<<"$output"
    grep -qx 'to stderr' <<<"$output"
    grep -qx test <<<"$output"

    echo 'somebody:x:12:34::/:/bin/sh' >>"$BUNDLE/rootfs/etc/passwd"
    DRUPE_ISOLATION=vm host_changed
    run drupe exec --user somebody --cwd /tmp --env A=b --cap CAP_KILL "$TOKEN" /bin/sh -c 'id -u; id -g; pwd; echo $A; grep CapBnd /proc/self/status'
    echo "$output"
    [ "$output" = $'12\n34\n/tmp\nb\nCapBnd:\t'"$(grep CapBnd <<<"$output" | cut -f 2)" ]

    run drupe exec "$TOKEN" /bin/none
    [ "$status" != 0 ]
    grep -q 'exec: "/bin/none": stat /bin/none: no such file or directory' <<<"$output"
    run drupe exec "$TOKEN" /bin/sh -c 'kill -KILL $$'
    [ "$status" = 137 ]

    DRUPE_SLOW=15 run "$LIB/terminal.py" 11x22 expect=ready size=33x44 'winch=33 44' -- "$RUNTIME" --root "$ROOT" exec -t "$TOKEN" \
        /bin/sh -c 'tty; stty size; trap "stty size; exit 4" WINCH; echo ready; while :; do sleep 0.1; done'
    output=${output//$'\r'/}
    echo "$output"
    grep -qx /dev/pts/0 <<<"$output"
    grep -qx '11 22' <<<"$output"
    grep -qx 'status 4' <<<"$output"

    # It ends with what stands for it, by a signal or without a word.
    local pid
    drupe exec -d --pid-file "$BATS_TEST_TMPDIR/pid" "$TOKEN" /bin/sh -c 'trap "echo told >/told; exit" TERM; echo >/ready; while :; do sleep 0.1; done'
    pid=$(cat "$BATS_TEST_TMPDIR/pid")
    wait_for 120 test -e "$BUNDLE/rootfs/ready"
    kill "$pid"
    wait_for 120 test -e "$BUNDLE/rootfs/told"
    wait_for 120 test ! -e "/proc/$pid"
    drupe exec -d --pid-file "$BATS_TEST_TMPDIR/pid" "$TOKEN" /bin/sleep 999
    kill -KILL "$(cat "$BATS_TEST_TMPDIR/pid")"
    gone() { ! drupe exec "$TOKEN" /bin/sh -c 'ps' | grep -q 'sleep 999'; }
    wait_for 120 gone
    drupe exec -d "$TOKEN" /bin/sleep 888
    drupe delete --force "$TOKEN"
}

@test "ps, pause and resume, signals to all" {
    script 'trap "echo one got USR1" USR1; sleep 999 & (trap "echo two got USR1" USR1; echo up; while :; do sleep 0.1; done) & while :; do sleep 0.1; done'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    wait_for 120 grep -qx up "$BATS_TEST_TMPDIR/out"
    run drupe ps "$TOKEN"
    echo "$output"
    [[ ${lines[0]} == *PID*PPID*UID*CMD ]]
    [ ${#lines[@]} -ge 4 ]
    run drupe ps --format json "$TOKEN"
    [ "$(jq length <<<"$output")" -ge 3 ]
    run ! drupe ps "$TOKEN" -o pid

    drupe pause "$TOKEN"
    is paused
    run ! drupe exec "$TOKEN" /bin/true
    grep -q 'cannot exec in a paused container' <<<"$output"
    drupe kill "$TOKEN" USR1
    drupe exec --ignore-paused "$TOKEN" /bin/true && false
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = up ]
    drupe resume "$TOKEN"
    is running
    wait_for 120 grep -qx 'one got USR1' "$BATS_TEST_TMPDIR/out"
    run ! grep -q two "$BATS_TEST_TMPDIR/out"
    drupe kill --all "$TOKEN" USR1
    wait_for 120 grep -qx 'two got USR1' "$BATS_TEST_TMPDIR/out"
    # The supervisor goes on when its container is stopped.
    drupe kill "$TOKEN" STOP
    stopped() { drupe exec "$TOKEN" /bin/grep State /proc/1/status | grep -q stopped; }
    wait_for 120 stopped
    # A machine that is paused can be killed.
    drupe pause "$TOKEN"
    drupe kill "$TOKEN" KILL
    wait_for 120 is stopped
    drupe delete "$TOKEN"
}

@test "sizes; hooks on the proper side" {
    local log=$BATS_TEST_TMPDIR/hooks
    hook() { echo "[{path: \"/bin/sh\", args: [\"sh\", \"-c\", \"echo $1 \$(jq -r .status) \$(uname -r) >>$log\"]}]"; }
    config ".hooks = {prestart: $(hook prestart), createRuntime: $(hook createRuntime), createContainer: $(hook createContainer),
            poststart: $(hook poststart), poststop: $(hook poststop),
            startContainer: [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \"uname -r >/started\"]}]}
        | .annotations = {\"org.drupe.vm.vcpus\": \"2\", \"krun.ram_mib\": \"192\"}"
    script 'nproc; grep MemTotal /proc/meminfo'
    run_vm
    [ "$status" = 0 ]
    [ "${lines[0]}" = 2 ]
    local kib
    kib=$(tr -cd 0-9 <<<"${lines[1]}")
    [ "$kib" -gt $((128 * 1024)) ]
    [ "$kib" -lt $((192 * 1024)) ]
    cat "$log"
    [ "$(cut -d ' ' -f 1 "$log" | tr '\n' ' ')" = 'prestart createRuntime createContainer poststart poststop ' ]
    [ "$(grep -c "$(uname -r)\$" "$log")" = 5 ]
    [[ $(cat "$BUNDLE/rootfs/started") == 6.1.* ]] && [ "$(cat "$BUNDLE/rootfs/started")" != "$(uname -r)" ]
}

@test "events: the guest's figures, what the machine costs, and that memory ran out" {
    config '.linux.resources = {memory: {limit: 33554432}, pids: {limit: 50}}'
    script 'echo up; sleep 1000 & while [ ! -e /go ]; do sleep 0.1; done; exec tail /dev/zero'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    wait_for 120 grep -qx up "$BATS_TEST_TMPDIR/out"
    run drupe events --stats "$TOKEN"
    echo "$output"
    [ "$status" = 0 ]
    jq -e --arg id "$TOKEN" '.type == "stats" and .id == $id and (.data | .pids.limit == 50 and .pids.current >= 2 and .pids.current < 10
        and .memory.usage.limit == 33554432 and .memory.usage.usage > 0 and .memory.usage.usage < 33554432 and .cpu.usage.total > 0
        and .memory.raw.anon > 0 and .vm.memory.usage.usage > .memory.usage.usage and .vm.cpu.usage.total > .cpu.usage.total
        and .vm.memory.usage.limit == (32 + 48 + 16) * 1048576)' <<<"$output"

    drupe events --interval 200ms "$TOKEN" >"$BATS_TEST_TMPDIR/events" &
    local events=$!
    twice() { [ "$(grep -c '"type":"stats"' "$BATS_TEST_TMPDIR/events")" -ge 2 ]; }
    wait_for 120 twice
    run ! grep '"oom"' "$BATS_TEST_TMPDIR/events"
    run drupe exec "$TOKEN" /bin/tail /dev/zero
    [ "$status" = 137 ]
    wait_for 120 grep -qxF "{\"type\":\"oom\",\"id\":\"$TOKEN\"}" "$BATS_TEST_TMPDIR/events"
    # It ends with the container, of whose end it tells as well.
    touch "$BUNDLE/rootfs/go"
    wait "$events"
    [ "$(grep -c '"oom"' "$BATS_TEST_TMPDIR/events")" = 2 ]
    wait_for 120 is stopped
    run ! drupe events --stats "$TOKEN"
    drupe delete "$TOKEN"
}

@test "update: the guest's limits and the host's, within what the machine has, all or nothing" {
    config '.annotations = {"org.drupe.vm.memory-mib": "128"} | .linux.resources = {memory: {limit: 33554432}, pids: {limit: 50}}'
    script 'echo up; sleep 1000'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    drupe update --memory 64m --pids-limit 20 --cpu-quota 50000 --cpu-period 100000 "$TOKEN"
    run drupe exec "$TOKEN" /bin/cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
    [ "$output" = $'67108864\n20' ]
    local host
    host=/sys/fs/cgroup/$(cgroup_path)
    in_host() { [ ! -e "$host/$1" ] || [ "$(cat "$host/$1")" = "$2" ]; }
    in_host cpu.max '50000 100000'
    in_host memory.max $(((128 + 16) * 1048576))
    in_host pids.max max
    stored() { jq -e '.memory.limit == 67108864 and .pids.limit == 20 and .cpu.quota == 50000' "$ROOT/$TOKEN/resources.json"; }
    stored

    run ! drupe update --memory 100m "$TOKEN"
    [[ $output == *': 104857600 bytes are more than the virtual machine has for its container (83886080, of 134217728)' ]]
    run ! drupe update --cpu-quota 200000 "$TOKEN"
    [[ $output == *': the time of 2 processors is more than the virtual machine has (1)' ]]
    run ! drupe update --l3-cache-schema L3:0=f "$TOKEN"
    [[ $output == *'linux.intelRdt: not in a virtual machine' ]]
    # The guest refuses its part.
    run ! drupe update --resources - "$TOKEN" <<<'{"memory": {"limit": 4096, "checkBeforeUpdate": true}, "cpu": {"quota": 30000}}'
    echo "$output"
    in_host cpu.max '50000 100000'
    stored
    run drupe exec "$TOKEN" /bin/cat /sys/fs/cgroup/memory.max
    [ "$output" = 67108864 ]
    drupe delete --force "$TOKEN"
}

no_machine() { ! pgrep -x drupe-machine; }

@test "kill ends a machine that hangs" {
    local sig
    script 'echo up; sleep 1000'
    for sig in TERM KILL; do
        detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
        kill -STOP "$(pgrep -x drupe-machine)"
        drupe kill "$TOKEN" "$sig"
        wait_for 120 is stopped
        wait_for 5 no_machine
        drupe delete "$TOKEN"
    done
}

@test "console socket: of create, of run and of exec" {
    export DRUPE_SLOW=15
    config '.process.terminal = true | .process.consoleSize = {height: 7, width: 9}'
    start_peer create console "$BATS_TEST_TMPDIR/sock1"
    args /probe tty , echo over
    detached create --vm --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/sock1" "$TOKEN"
    drupe start "$TOKEN"
    end_peer
    cat "$BATS_TEST_TMPDIR/create"
    [[ $(cat "$BATS_TEST_TMPDIR/create") == *"descriptors 1"*"terminal 0"*"size 7 9"*over* ]]
    wait_for 120 is stopped
    drupe delete "$TOKEN"

    start_peer run console "$BATS_TEST_TMPDIR/sock2"
    script 'tty; read -r word'
    detached run --vm --detach --bundle "$BUNDLE" --console-socket "$BATS_TEST_TMPDIR/sock2" "$TOKEN"
    start_peer exec console "$BATS_TEST_TMPDIR/sock3"
    detached exec --detach --tty --console-socket "$BATS_TEST_TMPDIR/sock3" "$TOKEN" /probe tty , echo first
    end_peer
    cat "$BATS_TEST_TMPDIR/exec"
    [[ $(cat "$BATS_TEST_TMPDIR/exec") == *"descriptors 1"*"isatty 0 /dev/pts/1"*first* ]]
    drupe delete --force "$TOKEN"
    wait_for 120 grep -q /dev/pts/0 "$BATS_TEST_TMPDIR/run"
    wait
}

@test "exec: users by the files that the container sees, cgroups below its own; descriptors are refused" {
    echo 'other:x:77:88::/tmp:/bin/sh' >"$BATS_TEST_TMPDIR/passwd"
    echo 'friends:x:99:' >"$BUNDLE/rootfs/etc/group"
    config --arg p "$BATS_TEST_TMPDIR/passwd" '.mounts += [{destination: "/etc/passwd", type: "bind", source: $p, options: ["bind", "ro"]}]
        | (.mounts[] | select(.destination == "/sys/fs/cgroup")).options -= ["ro"]'
    script 'mkdir /sys/fs/cgroup/sub && echo up; sleep 1000'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    wait_for 120 grep -qx up "$BATS_TEST_TMPDIR/out"
    run drupe exec --user other:friends --additional-gids 7,8 "$TOKEN" /bin/sh -c 'id -u; id -G; echo $HOME'
    [ "$output" = $'77\n99 7 8\n/tmp' ]
    run drupe exec --user other "$TOKEN" /bin/id -g
    [ "$output" = 88 ]
    local user
    for user in user '' 1: -1; do
        run drupe exec "--user=$user" "$TOKEN" /bin/true
        echo "$output"
        [ "$status" = 255 ]
        [[ $output == *"--user $user: "* ]]
    done
    run drupe exec --cgroup sub "$TOKEN" /bin/cat /proc/self/cgroup
    [ "$output" = 0::/sub ]
    run drupe exec --cgroup nowhere "$TOKEN" /bin/true
    [ "$status" = 255 ]
    [[ $output == *'the container has no cgroup "nowhere"'* ]]
    run drupe exec --cgroup .. "$TOKEN" /bin/true
    [[ $output == *"must be below the container's own"* ]]
    run "$RUNTIME" --root "$ROOT" exec --preserve-fds 1 "$TOKEN" /bin/true 3</dev/null
    echo "$output"
    [ "$status" = 255 ]
    [ "$output" = 'drupe: descriptors cannot be passed into a virtual machine' ]
    drupe delete --force "$TOKEN"
}

# confined COMM CAPABILITIES UID NAMES-IN-ITS-ROOT
confined() {
    local pid name found
    pid=$(pgrep -x "$1")
    echo "$1 $(grep -E '^(Uid|Groups|Cap|NoNewPrivs|Seccomp)' "/proc/$pid/status")"
    for name in "CapPrm:$2" "CapEff:$2" "CapBnd:$2" CapInh:0000000000000000 CapAmb:0000000000000000 NoNewPrivs:1 Seccomp:2 Groups:; do
        grep -qx "${name%%:*}:[[:space:]]*${name#*:}[[:space:]]*" "/proc/$pid/status"
    done
    grep -qx "Uid:[[:space:]]$3[[:space:]]$3[[:space:]]$3[[:space:]]$3" "/proc/$pid/status"
    for name in mnt net ipc uts cgroup; do
        [ "$(readlink "/proc/$pid/ns/$name")" != "$(readlink "/proc/self/ns/$name")" ]
    done
    [ "$(ls "/proc/$pid/root")" = "$4" ]
    # Of the host's files it has none open but the guest's kernel; of sockets and pipes only those it was given.
    found=$(find "/proc/$pid/fd" -lname '/*' ! -lname /dev/kvm ! -lname '*/vmlinux*' ! -lname '/memfd:*' ! -lname /dev/null \
        ! -lname / ! -lname '/proc*' ! -lname '/share*' ! -lname "$BATS_TEST_TMPDIR/*" -printf '%l\n')
    echo "$found"
    [ -z "$found" ]
}

@test "each process of it is confined" {
    script 'echo up; sleep 1000'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    confined drupe-vm 0000000000000000 65534 ''
    confined drupe-machine 0000000000000000 65534 ''
    # chown, dac_override, dac_read_search, fowner, fsetid, setgid, setuid, mknod, setfcap
    confined drupe-files 00000000880000df 0 $'proc\nshare'
    local files
    files=$(pgrep -x drupe-files)
    [ "$(ls "/proc/$files/root/share")" = rootfs ]
    [ "$(readlink "/proc/$files/ns/pid")" != "$(readlink /proc/self/ns/pid)" ]
    [ -z "$(find "/proc/$files/fd" -lname /dev/kvm)" ]
    # The one that stands for a process of the guest's.
    drupe exec -d "$TOKEN" /bin/sleep 1000
    confined drupe-vm-exec 0000000000000000 65534 ''
    drupe delete --force "$TOKEN"
}

@test "what is not there for a container in a virtual machine is refused" {
    script 'echo up; sleep 1000'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    echo '[{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]' >"$BATS_TEST_TMPDIR/mounts.json"
    run ! drupe mounts add "$TOKEN" "$BATS_TEST_TMPDIR/mounts.json"
    echo "$output"
    [[ $output == *"mounts: container \"$TOKEN\" is in a virtual machine"* ]]
    drupe delete --force "$TOKEN"
}
