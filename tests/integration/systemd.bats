#!/usr/bin/env bats
# shellcheck disable=SC2016,SC2030,SC2031,SC2119,SC2120,SC2153,SC2154 # texts for inner shells and for jq; optional arguments; variables of bats
# Cgroups made by systemd. What needs it is skipped where systemd is not process 1: `tools/lane uml --systemd test systemd` has it.
load helpers
load inside

# One root file system for all tests, and not more in it than they use: processes and files are slow where systemd is.
setup_file() {
    local root=$BATS_FILE_TMPDIR/rootfs
    mkdir -p "$root"/{bin,dev,proc,run,sys/fs/cgroup,tmp}
    cp "$(command -v busybox)" "$root/bin/busybox"
    ln -s busybox "$root/bin/sh"
    ln -s busybox "$root/bin/cat"
    cp "${PROBE:-$BATS_TEST_DIRNAME/../../build/musl/tests/lib/probe}" "$root/probe"
}

setup() {
    begin_test
    BUNDLE=$BATS_TEST_TMPDIR/bundle
    mkdir "$BUNDLE"
    jq --arg root "$BATS_FILE_TMPDIR/rootfs" '.root.path = $root' "$LIB/base_config.json" >"$BUNDLE/config.json"
    ID=$(container_id)
    UNIT=drupe-$ID.scope
}

with_systemd() {
    [ -d /run/systemd/system ] || skip 'needs systemd as process 1'
}

with_v2() {
    with_systemd
    in_runtime_mode v2
}

# The runtime with the driver under test.
drupe() { timeout --foreground -k 5 "$DRUPE_TIMEOUT" "$RUNTIME" --root "$ROOT" --systemd-cgroup "$@" 3>&-; }

resources() { config --argjson r "$1" '.linux.resources += $r'; }

annotation() { config --arg n "org.systemd.property.$1" --arg v "$2" '.annotations[$n] = $v'; }

property() { systemctl show --value -p "$1" "${2:-$UNIT}"; }

dir() { echo "/sys/fs/cgroup$(property ControlGroup "${1:-$UNIT}")"; }

cgroup_of() { sed -n 's/^0:://p' "/proc/$1/cgroup"; }

# same GOT WANTED
same() {
    [ "$1" = "$2" ] || { printf 'got:    %s\nwanted: %s\n' "$1" "$2" && return 1; }
}

no_unit() { [ -z "$(systemctl list-units --all --plain --no-legend "*$TOKEN*")" ]; }

nothing_left() {
    no_unit
    [ -z "$(find /sys/fs/cgroup -name "*$TOKEN*" 2>/dev/null)" ]
    [ ! -e "$ROOT/$ID" ]
}

# refused TEXT: run fails with the text, in one line, and leaves nothing.
refused() {
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *"$1"* ]] || { echo "output: $output" && return 1; }
    [ "${#lines[@]}" -eq 1 ]
    nothing_left
}

# ---------------------------------------------------------------------------------------------------------------------- without systemd

@test "without systemd, one line says so, and nothing is left" {
    [ ! -d /run/systemd/system ] || skip 'needs a machine without systemd'
    run_container
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ "$output" == *'systemd does not run here'* ]]
    [ -z "$(find /sys/fs/cgroup -name "*$TOKEN*" 2>/dev/null)" ]
    [ ! -e "$ROOT/$ID" ]
}

@test "a cgroupsPath that is a path, and not slice:prefix:name, is refused" {
    for path in /a/b a/b:c:d a:b:c:d a.slice:b: notslice:b:c a--b.slice:c:d; do
        config --arg p "$path" '.linux.cgroupsPath = $p'
        run_container
        [ "$status" -eq 1 ]
        [[ "$output" == *linux.cgroupsPath:* ]]
    done
}

@test "the plan shows the unit and its properties, with or without systemd" {
    in_runtime_mode v2
    resources '{"pids": {"limit": 7}}'
    run drupe plan --id "$ID" "$BUNDLE"
    [ "$status" -eq 0 ]
    [[ "$output" == *"systemd unit $UNIT of the system manager"* ]]
    [[ "$output" == *'property TasksMax: t 7'* ]]
}

# -------------------------------------------------------------------------------------------------------------------------------- place

@test "a container is a delegated scope of system.slice, and the scope is gone after delete" {
    with_v2
    created
    same "$(property ActiveState)" active
    same "$(property Slice)" system.slice
    same "$(property Delegate)" yes
    same "$(property Description)" "drupe container $ID"
    same "$(cgroup_of "$(init_pid)")" "/system.slice/$UNIT"
    # nothing but init is in it
    same "$(cat "$(dir)/cgroup.procs")" "$(init_pid)"
    drupe start "$ID"
    same "$(cgroup_of "$(init_pid)")" "/system.slice/$UNIT"
    down
    nothing_left
}

@test "slice:prefix:name is the scope prefix-name in the slice, at the place that the slice's name says" {
    with_v2
    config --arg p "${TOKEN//-/}-sub.slice:box:$ID" '.linux.cgroupsPath = $p'
    up
    local UNIT=box-$ID.scope
    same "$(property Slice)" "${TOKEN//-/}-sub.slice"
    same "$(cgroup_of "$(init_pid)")" "/${TOKEN//-/}.slice/${TOKEN//-/}-sub.slice/$UNIT"
    down
    no_unit
    systemctl stop "${TOKEN//-/}.slice"
}

@test "a path with the first parts left out has the usual slice and no prefix" {
    with_v2
    config --arg p "::$ID" '.linux.cgroupsPath = $p'
    up
    same "$(cgroup_of "$(init_pid)")" "/system.slice/$ID.scope"
    down
    config --arg p "-.slice:x:$ID" '.linux.cgroupsPath = $p'
    up
    same "$(cgroup_of "$(init_pid)")" "/x-$ID.scope"
    down
    nothing_left
}

@test "a name that ends in .slice is a slice" {
    with_v2
    local slice=${TOKEN//-/}.slice
    config --arg p "::$slice" '.linux.cgroupsPath = $p'
    resources '{"pids": {"limit": 9}}'
    up
    same "$(cgroup_of "$(init_pid)")" "/$slice"
    same "$(property TasksMax "$slice")" 9
    down
    same "$(property ActiveState "$slice")" inactive
    [ ! -e "/sys/fs/cgroup/$slice" ]
}

@test "exec joins the scope, and with --cgroup a cgroup below it" {
    with_v2
    up
    inside /bin/cat /proc/self/cgroup
    same "$output" 0::/
    drupe exec --detach --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" /probe trap </dev/null >/dev/null 2>&1
    same "$(cgroup_of "$(cat "$BATS_TEST_TMPDIR/pid")")" "/system.slice/$UNIT"
    mkdir "$(dir)/below"
    drupe exec --detach --cgroup below --pid-file "$BATS_TEST_TMPDIR/pid" "$ID" /probe trap </dev/null >/dev/null 2>&1
    same "$(cgroup_of "$(cat "$BATS_TEST_TMPDIR/pid")")" "/system.slice/$UNIT/below"
    down
    nothing_left
}

# --------------------------------------------------------------------------------------------------------------------------- properties

@test "limits are properties of the unit, and exact in its files" {
    with_v2
    resources '{"memory": {"limit": 33554432, "reservation": 16777216, "swap": 67108864}, "pids": {"limit": 20},
        "cpu": {"shares": 2048, "quota": 15500, "period": 50000}}'
    up
    same "$(property MemoryMax)" 33554432
    same "$(property MemoryLow)" 16777216
    same "$(property MemorySwapMax)" 33554432
    same "$(property TasksMax)" 20
    same "$(property CPUWeight)" 174
    same "$(property CPUQuotaPerSecUSec)" 310ms
    same "$(property CPUQuotaPeriodUSec)" 50ms
    same "$(cat "$(dir)/memory.max")" 33554432
    same "$(cat "$(dir)/pids.max")" 20
    same "$(cat "$(dir)/cpu.weight")" 174
    same "$(cat "$(dir)/cpu.max")" '15500 50000'
    down
}

@test "a quota that is no whole percent is rounded up for systemd alone" {
    with_v2
    resources '{"cpu": {"quota": 15510, "period": 100000}}'
    up
    same "$(property CPUQuotaPerSecUSec)" 160ms
    same "$(cat "$(dir)/cpu.max")" '15510 100000'
    down
}

@test "limits and the device filter hold after systemd was reloaded" {
    with_v2
    resources '{"memory": {"limit": 33554432}, "pids": {"limit": 20}, "unified": {"memory.high": "30000000"}}'
    config '.process.capabilities[] += ["CAP_SYSLOG"]'
    up
    systemctl daemon-reload
    # any change makes it write the files of the unit again
    systemctl set-property --runtime "$UNIT" IOWeight=200
    same "$(cat "$(dir)/memory.max")" 33554432
    same "$(cat "$(dir)/memory.high")" 29999104
    same "$(cat "$(dir)/pids.max")" 20
    inside /probe mknod /dev/log11 c 1 11 , open /dev/log11 r , open /dev/null w , open /dev/ptmx r
    same "$output" "$(printf '%s\n' 'mknod 0' 'open error EPERM' 'open 0' 'open 0')"
    down
}

@test "annotations set properties: numbers, strings, booleans, lists, seconds" {
    with_v2
    annotation TimeoutStopUSec 'uint64 7000000'
    annotation KillSignal 10
    annotation RuntimeMaxSec 90.5
    annotation CollectMode "'inactive'"
    annotation SendSIGHUP true
    annotation After "['multi-user.target', \"basic.target\"]"
    up
    same "$(property TimeoutStopUSec)" 7s
    same "$(property KillSignal)" 10
    [[ "$(property RuntimeMaxUSec)" == '1min 30.500'* ]]
    same "$(property CollectMode)" inactive
    same "$(property SendSIGHUP)" yes
    [[ "$(property After)" == *multi-user.target* ]]
    down
}

@test "a property that systemd does not know is an error in one line, and nothing is left" {
    with_v2
    annotation NoSuchThing 5
    refused 'NoSuchThing'
}

@test "a property of the wrong type is an error in one line, and nothing is left" {
    with_v2
    annotation TimeoutStopUSec 5
    refused "$UNIT: "
}

@test "an annotation that is no value is refused with its name" {
    annotation KillSignal 'uint64 x'
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *'annotations["org.systemd.property.KillSignal"]'* ]]
}

# ---------------------------------------------------------------------------------------------------------------------- limits by effect

@test "a program that uses more memory than its limit is killed, and nothing is left of a scope that failed" {
    with_v2
    resources '{"memory": {"limit": 16777216, "swap": 16777216}}'
    args /probe memory 64
    run_container
    [ "$status" -eq 137 ]
    nothing_left
}

@test "pids.limit counts the container's processes alone, also when it is 1" {
    with_v2
    resources '{"pids": {"limit": 1}}'
    args /probe spawn 1
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 grep -q ready "$BATS_TEST_TMPDIR/out"
    grep -qx 'fork error EAGAIN' "$BATS_TEST_TMPDIR/out"
    down
    resources '{"pids": {"limit": 4}}'
    args /probe spawn 10
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 grep -q ready "$BATS_TEST_TMPDIR/out"
    same "$(cat "$(dir)/pids.current")" 4
    down
}

@test "pids.limit 0 is 1 for systemd and 0 in the file" {
    with_v2
    resources '{"pids": {"limit": 0}}'
    up
    same "$(property TasksMax)" 1
    same "$(cat "$(dir)/pids.max")" 0
    down
}

@test "device rules count, systemd's filter does not get in their way" {
    with_v2
    resources '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]}'
    config '.process.capabilities[] += ["CAP_SYSLOG"]'
    args /probe mknod /dev/log11 c 1 11 , open /dev/log11 r , open /dev/log11 w , mknod /dev/port4 c 1 4 , open /dev/port4 r
    run_container
    same "$output" "$(printf '%s\n' 'mknod 0' 'open 0' 'open error EPERM' 'mknod 0' 'open error EPERM')"
}

@test "update changes the files and systemd's idea of them" {
    with_v2
    [[ "$(drupe update --help 2>&1)" == *update* ]] || skip 'there is no update'
    resources '{"memory": {"limit": 33554432}, "pids": {"limit": 20}, "cpu": {"quota": 20000, "period": 100000}}'
    up
    echo '{"memory": {"limit": 50331648}, "cpu": {"quota": 15510}, "pids": {"limit": 30}}' >"$BATS_TEST_TMPDIR/update"
    drupe update --resources "$BATS_TEST_TMPDIR/update" "$ID"
    same "$(property MemoryMax)" 50331648
    same "$(property TasksMax)" 30
    same "$(property CPUQuotaPerSecUSec)" 160ms
    same "$(cat "$(dir)/memory.max")" 50331648
    same "$(cat "$(dir)/pids.max")" 30
    same "$(cat "$(dir)/cpu.max")" '15510 100000'
    down
}

@test "update changes which devices may be used" {
    with_v2
    [[ "$(drupe update --help 2>&1)" == *update* ]] || skip 'there is no update'
    config '.process.capabilities[] += ["CAP_SYSLOG"]'
    up
    inside /probe mknod /dev/log11 c 1 11 , open /dev/log11 r
    same "$output" "$(printf '%s\n' 'mknod 0' 'open error EPERM')"
    echo '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]}' >"$BATS_TEST_TMPDIR/update"
    drupe update --resources "$BATS_TEST_TMPDIR/update" "$ID"
    inside /probe open /dev/log11 r , open /dev/log11 w
    same "$output" "$(printf '%s\n' 'open 0' 'open error EPERM')"
    systemctl daemon-reload
    inside /probe open /dev/log11 r , open /dev/log11 w
    same "$output" "$(printf '%s\n' 'open 0' 'open error EPERM')"
    down
}

# ---------------------------------------------------------------------------------------------------------------------------- life cycle

@test "a unit of that name that runs is not touched" {
    with_v2
    systemd-run --quiet --scope --unit "$UNIT" sleep 1000 3>&- &
    wait_for 5 systemctl --quiet is-active "$UNIT"
    run_container
    [ "$status" -eq 1 ]
    [[ "$output" == *"$UNIT"*already* ]]
    [ ! -e "$ROOT/$ID" ]
    same "$(property ActiveState)" active
    kill -0 $!
    kill $!
    wait $! || true
    wait_for 5 no_unit
}

@test "a unit of that name that failed is not in the way" {
    with_v2
    systemd-run --quiet --scope --unit "$UNIT" -p RuntimeMaxSec=1 sleep 1000 3>&- || true
    wait_for 5 eval '[ "$(property ActiveState)" = failed ]'
    up
    same "$(property ActiveState)" active
    down
    nothing_left
}

gone() { ! grep -qs '^State:.[^ZX]' "/proc/$1/status"; }

@test "processes that ignore SIGTERM, without a pid namespace, end at delete at once" {
    with_v2
    config '.linux.namespaces |= map(select(.type != "pid"))'
    args /bin/sh -c 'trap "" TERM; (trap "" TERM; while :; do sleep 1000; done) & while :; do sleep 1000; done'
    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 5 eval '[ "$(wc -l <"$(dir)/cgroup.procs")" -ge 3 ]'
    procs=$(cat "$(dir)/cgroup.procs")
    SECONDS=0
    down
    [ "$SECONDS" -lt 60 ] # systemd by itself would wait 90 s
    for pid in $procs; do wait_for 5 gone "$pid"; done
    nothing_left
}

@test "kill ends the container, and delete of what systemd has forgotten works" {
    with_v2
    up
    drupe kill "$ID" KILL
    wait_for 5 eval '[ "$(drupe state "$ID" | jq -r .status)" = stopped ]'
    wait_for 5 no_unit
    drupe delete "$ID"
    nothing_left
}

@test "systemctl stop ends the container" {
    with_v2
    up
    systemctl stop "$UNIT"
    same "$(drupe state "$ID" | jq -r .status)" stopped
    drupe delete "$ID"
    nothing_left
}

@test "pause and resume work on the scope, and a paused container can be deleted" {
    with_v2
    up
    drupe pause "$ID"
    same "$(drupe state "$ID" | jq -r .status)" paused
    drupe resume "$ID"
    same "$(drupe state "$ID" | jq -r .status)" running
    drupe pause "$ID"
    down
    nothing_left
}

@test "a hook that fails leaves no scope" {
    with_v2
    config '.hooks.createRuntime = [{"path": "/bin/false"}]'
    refused 'hooks.createRuntime[0]'
}

@test "a limit that the kernel refuses leaves no scope" {
    with_v2
    resources '{"unified": {"memory.max": "nonsense"}}'
    refused 'linux.resources.unified["memory.max"]'
}

@test "in a cgroup namespace with its own view the scope's cgroup is mounted" {
    with_v2
    resources '{"pids": {"limit": 33}}'
    args /bin/cat /sys/fs/cgroup/pids.max
    run_container
    same "$output" 33
}

@test "two containers one after the other may have the same name" {
    with_v2
    for _ in 1 2 3; do
        up
        down
    done
    nothing_left
}

@test "delete of a container whose unit's name another one got later does not touch that" {
    local old=$ID-old
    with_v2
    config --arg p ":drupe:$ID" '.linux.cgroupsPath = $p'
    args /bin/sh -c :
    drupe create --bundle "$BUNDLE" "$old" </dev/null >/dev/null 2>&1
    drupe start "$old"
    wait_for 10 no_unit
    args /probe trap
    up
    first=$(property InvocationID)
    drupe delete "$old"
    same "$(drupe state "$ID" | jq -r .status)" running
    same "$(property ActiveState)" active
    same "$(property InvocationID)" "$first"
    down
    nothing_left
}

# The helper is told which run of the unit is meant: between our look at the cgroup and its request there may be another one.
@test "the helper stops only the run of a unit that it is told" {
    local helper run
    with_v2
    helper=$(dirname "$RUNTIME")/../libexec/drupe/systemd
    [ -x "$helper" ] || skip "needs $helper"
    up
    run=$(property InvocationID)
    printf 'stop %s\ninvocation %s\n' "$UNIT" "${run//[0-9]/0}" | "$helper"
    same "$(property ActiveState)" active
    printf 'stop %s\ninvocation %s\n' "$UNIT" "$run" | "$helper"
    wait_for 10 no_unit
    down
    nothing_left
}

# --------------------------------------------------------------------------------------------------------------- cgroup v1 and hybrid

# `tools/lane uml --systemd --cgroup hybrid test systemd` has it.
with_v1() {
    with_systemd
    [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] || skip 'needs systemd on cgroup v1'
}

# Of the controller: /sys/fs/cgroup/CONTROLLER/PLACE
v1_dir() { echo "/sys/fs/cgroup/$1$(property ControlGroup)"; }

@test "on cgroup v1 the scope is the container's cgroup in every hierarchy, and gone after delete" {
    with_v1
    up
    same "$(property ActiveState)" active
    same "$(property ControlGroup)" "/system.slice/$UNIT"
    # all lines but those of hierarchies that are mounted nowhere
    while IFS=: read -r _ controllers path; do
        [ -n "$(find /sys/fs/cgroup -maxdepth 1 -name "${controllers#name=}")" ] || continue
        same "$controllers $path" "$controllers /system.slice/$UNIT"
    done <"/proc/$(init_pid)/cgroup"
    drupe exec "$ID" /bin/sh -c 'grep -c . /proc/self/cgroup' >/dev/null
    down
    nothing_left
}

@test "on cgroup v1 limits are properties of the unit by their older names, and count" {
    with_v1
    [ -d /sys/fs/cgroup/memory ] && [ -d /sys/fs/cgroup/pids ] || skip 'needs the controllers memory and pids'
    resources '{"memory": {"limit": 33554432}, "pids": {"limit": 20}, "cpu": {"shares": 512}}'
    up
    same "$(property MemoryLimit)" 33554432
    same "$(property TasksMax)" 20
    same "$(property CPUShares)" 512
    same "$(cat "$(v1_dir memory)/memory.limit_in_bytes")" 33554432
    same "$(cat "$(v1_dir pids)/pids.max")" 20
    # systemd does not bring back others
    systemctl daemon-reload
    same "$(cat "$(v1_dir memory)/memory.limit_in_bytes")" 33554432
    drupe update --pids-limit 30 "$ID"
    same "$(property TasksMax)" 30
    same "$(cat "$(v1_dir pids)/pids.max")" 30
    down
    nothing_left
    args /probe memory 64
    run_container
    [ "$status" -eq 137 ]
    nothing_left
}

@test "on cgroup v1 pause, kill and delete --force work on a scope" {
    with_v1
    [ -d /sys/fs/cgroup/freezer ] || skip 'needs the freezer'
    up
    drupe pause "$ID"
    same "$(drupe state "$ID" | jq -r .status)" paused
    drupe resume "$ID"
    drupe kill "$ID" KILL
    wait_for 10 eval '[ "$(drupe state "$ID" | jq -r .status)" = stopped ]'
    drupe delete "$ID"
    nothing_left
    up
    down
    nothing_left
}

# ----------------------------------------------------------------------------------------------------------------------------- rootless

# as_lane SCRIPT: as root of a user namespace of the user lane, in a scope of that user's systemd; with OUTSIDE=1 where sessions are.
as_lane() {
    local enter=(setpriv --reuid 1000 --regid 1000 --init-groups)
    with_v2
    id lane >/dev/null 2>&1 || skip 'needs the user lane of the lanes'
    loginctl enable-linger lane
    # the user's directory is mounted where systemd is, not where tests are
    wait_for 30 nsenter --mount --target 1 test -S /run/user/1000/bus
    mkdir -m 0755 /run/rootless
    cp -a "$(dirname "$RUNTIME")/.." /run/rootless/out
    config '.root.path = "rootfs"'
    cp -a "$BUNDLE" /run/rootless/bundle
    cp -a "$BATS_FILE_TMPDIR/rootfs" /run/rootless/bundle/rootfs
    printf '%s\n' 'drupe() { /run/rootless/out/bin/drupe --systemd-cgroup "$@"; }' "ID=$ID UNIT=$UNIT" "$1" >/run/rootless/script
    chmod -R a+rX /run/rootless
    if [ -n "${OUTSIDE-}" ]; then
        enter=(systemd-run --scope --quiet --slice user-1000.slice "${enter[@]}")
    else
        enter+=(systemd-run --user --scope --quiet)
    fi
    run nsenter --mount --target 1 env XDG_RUNTIME_DIR=/run/user/1000 "${enter[@]}" \
        unshare --map-root-user --map-auto --mount bash -eu /run/rootless/script 3>&-
    rm -rf /run/rootless
    loginctl disable-linger lane
    systemctl stop user@1000.service user-1000.slice
}

rootless_config() {
    config '.linux.resources = {"pids": {"limit": 33}} | .mounts |= map(select(.destination != "/dev/mqueue"))'
    args /probe trap
}

in_the_users_systemd() {
    rootless_config
    as_lane 'drupe run --detach --bundle /run/rootless/bundle "$ID" </dev/null >/dev/null
        pid=$(drupe state "$ID" | jq .pid)
        sed "s/^0:://" "/proc/$pid/cgroup"
        systemctl --user show --value -p TasksMax "$UNIT"
        drupe exec "$ID" /bin/cat /sys/fs/cgroup/pids.max
        drupe delete --force "$ID"
        systemctl --user list-units --all --plain --no-legend "drupe*"'
    echo "$output"
    [ "$status" -eq 0 ]
    same "$output" "$(printf '%s\n' "/user.slice/user-1000.slice/user@1000.service/user.slice/$UNIT" 33 33)"
}

@test "the root of a user namespace gets a scope of the user's systemd" { in_the_users_systemd; }

# From there nobody but systemd may move a process into the user's part of the tree.
@test "and so it does from a session, which is outside of that" { OUTSIDE=1 in_the_users_systemd; }

@test "the root of a user namespace without a user bus gets an error in one line" {
    rootless_config
    as_lane 'unset XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS
        ! drupe --root /tmp/drupe-$ID run --bundle /run/rootless/bundle "$ID" || exit 1
        rm -r /tmp/drupe-$ID'
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ "$output" == *'no user bus'* ]]
}
