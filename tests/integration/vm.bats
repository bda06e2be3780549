#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for inner shells
# Containers in virtual machines of their own: needs a KVM that can run one (in the nested lane, tools/lane nested test vm) and the guest
# kernel, as build/guest-kernel/vmlinux or DRUPE_GUEST_KERNEL.
load helpers

VMBOOT=$(dirname "$PROBE")/../../hwvirt-sandbox/vmboot

setup() {
    begin_test
    local verdict
    verdict=$("$VMBOOT" --probe) || skip "$verdict"
    export DRUPE_GUEST_KERNEL=${DRUPE_GUEST_KERNEL:-$TOP/build/guest-kernel/vmlinux}
    [ -f "$DRUPE_GUEST_KERNEL" ] || skip "no guest kernel ($DRUPE_GUEST_KERNEL)"
    export DRUPE_TIMEOUT=300
    setup_bundle
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
    [ ! -e "/proc/$pid/fd" ]
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
    run drupe exec --preserve-fds 1 "$TOKEN" /bin/true 3</dev/null
    [ "$status" != 0 ]
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
    drupe delete --force "$TOKEN"
}

@test "what is not there for a container in a virtual machine is refused" {
    script 'echo up; sleep 1000'
    detached run --vm -d --bundle "$BUNDLE" "$TOKEN"
    echo '[{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}]' >"$BATS_TEST_TMPDIR/mounts.json"
    local what
    for what in "update --pids-limit 5 $TOKEN" "events --stats $TOKEN" \
        "mounts add $TOKEN $BATS_TEST_TMPDIR/mounts.json"; do
        # shellcheck disable=SC2086
        run ! drupe $what
        echo "$output"
        [[ $output == *"${what%% *}: container \"$TOKEN\" is in a virtual machine"* ]]
    done
    drupe delete --force "$TOKEN"
}
