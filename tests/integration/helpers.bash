# shellcheck disable=SC2013,SC2016,SC2044,SC2119,SC2120 # lists of words; jq programs; optional arguments
# helpers.bash - bundles, the runtime under test, and the leak check around every test
#
# A bats file begins with `load helpers` and gets:
#   $RUNTIME $PROBE     the program under test; the static probe (tests/lib/probe.c)
#   $ROOT               its state directory for this test; it must not hold a container at the end
#   $BUNDLE             after setup_bundle: config.json (tests/lib/base_config.json) and a writable rootfs with busybox and /probe
# and these functions:
#   setup_bundle [NAME]     another bundle is made by another name; $BUNDLE is always the last one made
#   config [JQ-OPTION].. P  edits $BUNDLE/config.json by the jq program P
#   args WORD...            sets process.args
#   docker_like             makes config.json what Docker would send (tests/lib/docker_config.jq)
#   debian_rootfs           gives $BUNDLE a Debian root file system, writable, thrown away afterwards
#   container_id [NAME]     an id that is this test's own
#   drupe ARG...            the runtime with --root $ROOT, no longer than $DRUPE_TIMEOUT seconds; for `run drupe ...`
#   run_container ARG...    `run drupe run --bundle $BUNDLE $(container_id)`
#   detached ARG...         drupe, with stdio away from bats; texts in $BATS_TEST_TMPDIR/out and err
#   unreaped ARG...         drupe in the background; what it leaves behind stays a zombie after its end, until reap_now
#   wait_for SECONDS CMD..  until CMD succeeds; longer on a machine that is slow or busy
#   in_poll PID             the process is in poll(2)
#   cgroup_path [NAME]      where in the hierarchies the cgroup of container_id NAME is by default
#   place NAME              sets linux.cgroupsPath to one of that name
#   needs_cgroupfs          skips where systemd makes the cgroups
#   in_runtime_mode MODE    skips unless the machine has cgroups of that mode: v1, hybrid, v2
#   host_changed            waits until a guest sees what was changed in its root from outside, where there is a guest
#   needs_vm                skips where there is no KVM that works, or no guest kernel: DRUPE_GUEST_KERNEL, build/guest-kernel/vmlinux
# DRUPE_CGROUP_MANAGER=systemd: the cgroups are systemd's. What does not call `drupe` says "$RUNTIME" --root "$ROOT" "${MANAGER[@]}".
# DRUPE_ISOLATION=vm: every container is in a virtual machine of its own, and the tests that vm-exceptions.txt names are skipped.
# A file with its own setup or teardown calls begin_test and end_test in them.

bats_require_minimum_version 1.5.0

LIB=${BATS_TEST_DIRNAME%/*}/lib
TOP=${BATS_TEST_DIRNAME%/*/*}
: "${RUNTIME:=$TOP/build/out/bin/drupe}" "${PROBE:=$TOP/build/musl/tests/lib/probe}" "${TEST_CACHE:=$TOP/build/cache}"
# What every test does is done by one quick program: see there.
: "${HARNESS:=${PROBE%/*}/harness}"
VMBOOT=${PROBE%/*}/../../hwvirt-sandbox/vmboot
: "${DRUPE_TIMEOUT:=60}"
# jq 1.6 needs 30 ms to start, half a second in the nested lane. gojq sorts the members of objects: `JQ=jq jq`, `JQ=jq config` where order
# matters.
JQ=gojq
jq() { command "$JQ" "$@"; }

# bats notes the stack before every command, which takes ten times as long as the command, to say where a test failed. The trap on
# errors can tell by itself.
if [ "${BATS_TRACE_LEVEL:-0}" = 0 ]; then
    bats_debug_trap() { trap - DEBUG; }
    bats_error_trap() {
        bats_check_status_from_trap
        [ -n "$BATS_DEBUG_LAST_STACK_TRACE_IS_VALID" ] || bats_capture_stack_trace
        BATS_DEBUG_LAST_STACK_TRACE_IS_VALID=1
    }
fi

setup() { begin_test; }
teardown() { end_test; }

begin_test() {
    [ "${DRUPE_ISOLATION-}" != vm ] || in_virtual_machines
    TOKEN=t$$-$RANDOM
    ROOT=$BATS_TEST_TMPDIR/root
    UNMOUNT=()
    MANAGER=()
    ! by_systemd || MANAGER=(--systemd-cgroup)
    TOKEN=$TOKEN "$HARNESS" begin "$BATS_TEST_TMPDIR"
}

# Fails a test that passed, but left something behind; cleans up in any case.
end_test() {
    local m
    [ -n "${TOKEN-}" ] || return 0 # skipped before anything was there
    jobs -pr >"$BATS_TEST_TMPDIR/.jobs"
    for m in "${UNMOUNT[@]}"; do umount -R "$m" || umount -l "$m"; done
    if ! TOKEN=$TOKEN "$HARNESS" end "$BATS_TEST_TMPDIR" >"$BATS_TEST_TMPDIR/.leaks"; then
        clean_up
        if [ -n "$BATS_TEST_COMPLETED" ]; then
            echo 'the test left behind:'
            cat "$BATS_TEST_TMPDIR/.leaks"
            return 1
        fi
    fi
    "$HARNESS" remove "$BATS_TEST_TMPDIR" bundle
}

# ---------------------------------------------------------------------------------------------------------------------- the runtime

drupe() { "$HARNESS" limit "$DRUPE_TIMEOUT" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" "$@" 3>&-; }

detached() { drupe "$@" </dev/null >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"; }

# The parent adopts the container's init, and does not look at its end.
unreaped() {
    mkfifo "$BATS_TEST_TMPDIR/reap"
    python3 - "$BATS_TEST_TMPDIR/reap" "$RUNTIME" --root "$ROOT" "${MANAGER[@]}" "$@" <<'END' 3>&- &
import ctypes, os, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
null = os.open("/dev/null", os.O_RDWR)
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ,
                     file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)])
os.waitpid(pid, 0)
open(sys.argv[1]).read()
END
    PARENT=$!
}

reap_now() {
    echo >"$BATS_TEST_TMPDIR/reap"
    wait "$PARENT"
}

run_container() { run drupe run --bundle "$BUNDLE" "$@" "$TOKEN"; }

container_id() { echo "$TOKEN${1:+-$1}"; }

# The runtime makes virtual machines when it is called by this name, whatever calls it. The exceptions are lines `FILE: TEST`, below a line
# `[REASON]`.
in_virtual_machines() {
    local line reason name=${BATS_TEST_FILENAME##*/}
    while read -r line; do
        case $line in
        \[*) reason=${line:1:-1} ;;
        "${name%.bats}: $BATS_TEST_DESCRIPTION") skip "in a virtual machine: $reason" ;;
        esac
    done <"$BATS_TEST_DIRNAME/vm-exceptions.txt"
    needs_vm
    ln -sf "$RUNTIME" "$BATS_TEST_TMPDIR/drupe-vm"
    RUNTIME=$BATS_TEST_TMPDIR/drupe-vm
}

# It keeps what it has looked up for a second (docs/vm.md).
host_changed() {
    [ "${DRUPE_ISOLATION-}" != vm ] || sleep 2
}

needs_vm() {
    local verdict
    verdict=$("$VMBOOT" --probe) || skip "$verdict"
    export DRUPE_GUEST_KERNEL=${DRUPE_GUEST_KERNEL:-$TOP/build/guest-kernel/vmlinux}
    [ -f "$DRUPE_GUEST_KERNEL" ] || skip "no guest kernel ($DRUPE_GUEST_KERNEL)"
}

# wait_for SECONDS COMMAND...; DRUPE_SLOW: how many times slower than others this machine may be. Any may be busy: only what never comes
# true waits this long.
wait_for() {
    local until=$((${EPOCHREALTIME/[.,]/} + $1 * 5 * ${DRUPE_SLOW:-1} * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/[.,]/}" -lt "$until" ] || return 1
        sleep 0.02
    done
}

# User Mode Linux does not tell.
in_poll() { [ ! -e /proc/self/syscall ] || grep -qs '^7 ' "/proc/$1/syscall"; }

by_systemd() { [ "${DRUPE_CGROUP_MANAGER-}" = systemd ]; }

needs_cgroupfs() { ! by_systemd || skip "is so with the cgroupfs driver only: ${1-systemd has units, and no paths}"; }

cgroup_path() { if by_systemd; then echo "system.slice/drupe-$(container_id "$@").scope"; else echo "drupe-$(container_id "$@")"; fi; }

place() { if by_systemd; then config --arg p "system.slice:drupe:$1" '.linux.cgroupsPath = $p'; else config --arg p "/drupe-$1" '.linux.cgroupsPath = $p'; fi; }

in_runtime_mode() {
    local mode=v1
    case $(stat -f -c %T /sys/fs/cgroup) in
    cgroup2fs) mode=v2 ;;
    *) [ ! -d /sys/fs/cgroup/unified ] || mode=hybrid ;;
    esac
    [ "$mode" = "$1" ] || skip "needs cgroup $1, this machine has $mode"
}

# ------------------------------------------------------------------------------------------------------------------------- bundles

# Sets TEMPLATE: the root file system that bundles are copied from, made once; its name changes with what it is made from.
rootfs_template() {
    local busybox key new known=$BATS_RUN_TMPDIR/template
    [ ! -f "$known" ] || read -r TEMPLATE <"$known"
    [ -z "${TEMPLATE-}" ] || return 0
    busybox=$(command -v busybox) || return 1
    key=$(cat "$busybox" "$PROBE" "${BASH_SOURCE[0]}" | cksum | tr ' ' -)
    TEMPLATE=$TEST_CACHE/rootfs-$key
    if [ ! -d "$TEMPLATE" ]; then
        new=$(mktemp -d "$TEST_CACHE/new.XXXXXX") && chmod 0755 "$new" || return 1
        mkdir -p "$new"/{bin,dev,etc,home,proc,root,run,sbin,sys,tmp,usr/bin,var} && chmod 1777 "$new/tmp"
        cp "$busybox" "$new/bin/busybox"
        cp "$PROBE" "$new/probe"
        # shellcheck disable=SC2046 # a list of words
        "$HARNESS" links "$new/bin" busybox $("$busybox" --list)
        printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'user:x:1000:1000:user:/home:/bin/sh' >"$new/etc/passwd"
        printf '%s\n' 'root:x:0:' 'tty:x:5:' 'user:x:1000:' 'extra:x:2000:user' >"$new/etc/group"
        # Another run may have been quicker; either tree will do.
        mv -T "$new" "$TEMPLATE" 2>/dev/null || rm -rf "$new"
    fi
    echo "$TEMPLATE" >"$known"
}

setup_bundle() {
    rootfs_template || return 1
    BUNDLE=$BATS_TEST_TMPDIR/bundle${1:+-$1}
    "$HARNESS" bundle "$TEMPLATE" "$LIB/base_config.json" "$BUNDLE"
}

# config [JQ-OPTION]... PROGRAM
config() {
    local new
    new=$(jq "$@" <"$BUNDLE/config.json") && printf '%s\n' "$new" >"$BUNDLE/config.json"
}

args() { "$HARNESS" args "$BUNDLE/config.json" "$@"; }

docker_like() {
    local profile=/usr/share/containers/seccomp.json files=$BATS_TEST_TMPDIR/files
    [ -f "$profile" ] || skip "needs $profile (package golang-github-containers-common)"
    mkdir -p "$files"
    echo "$TOKEN" >"$files/hostname"
    echo '127.0.0.1 localhost' >"$files/hosts"
    cp /etc/resolv.conf "$files/resolv.conf" 2>/dev/null || : >"$files/resolv.conf"
    config -f "$LIB/docker_config.jq" --slurpfile profile "$profile" --arg id "$TOKEN" --arg files "$files"
}

# Debian as tools/debian makes it, once; in the nested lane its image, which is another, with gcc. Every test sees it through an overlay,
# unmounted at its end.
debian_rootfs() {
    local dir=$TEST_CACHE/debian-bookworm over=$BATS_TEST_TMPDIR/overlay why
    if [ "${DRUPE_LANE-}" = nested ]; then
        dir=/
    else
        why=$("$TOP/tools/debian" "$dir" 2>&1 3>&-) || skip "$why"
    fi
    mkdir -p "$over/upper" "$over/work"
    rm -rf "$BUNDLE/rootfs"
    mkdir "$BUNDLE/rootfs"
    mount -t overlay -o "lowerdir=$dir,upperdir=$over/upper,workdir=$over/work" overlay "$BUNDLE/rootfs"
    UNMOUNT+=("$BUNDLE/rootfs")
    cp "$PROBE" "$BUNDLE/rootfs/probe"
}

# ---------------------------------------------------------------------------------------------------------------------- leak check

# For the tests that follow. Best effort, of what is surely this test's own.
clean_up() {
    local id pid cgroup
    # With an empty one every cgroup of the machine would bear our name.
    [ -n "${TOKEN-}" ] || return 0
    for id in "$ROOT"/*/; do
        [ -d "$id" ] || continue
        drupe delete --force "$(basename "$id")" >/dev/null 2>&1 || true
    done
    for pid in $(cat "$BATS_TEST_TMPDIR/.jobs") $(LC_ALL=C comm -13 "$BATS_TEST_TMPDIR/.before" "$BATS_TEST_TMPDIR/.after" | sed -n 's/^process \([0-9]*\) .*/\1/p'); do
        # A number may be another process by now; one that is still our orphan is not.
        case " $(cat "/proc/${REAPER_PID:-none}/task/${REAPER_PID:-none}/children" 2>/dev/null) $(jobs -p | tr '\n' ' ') " in
        *" $pid "*) kill -KILL "$pid" 2>/dev/null || true ;;
        esac
    done
    LC_ALL=C comm -13 "$BATS_TEST_TMPDIR/.before" "$BATS_TEST_TMPDIR/.after" | sed -n 's/^mount [0-9]* [0-9]* [^ ]* [^ ]* //p' | tac | while read -r id; do
        umount -l "$id" 2>/dev/null || true
    done
    sleep 0.1
    for cgroup in $(find /sys/fs/cgroup -depth -type d -name "*$TOKEN*" 2>/dev/null); do
        for id in $(cat "$cgroup/cgroup.procs" 2>/dev/null); do kill -KILL "$id" 2>/dev/null || true; done
        rmdir "$cgroup" 2>/dev/null || true
    done
    rm -rf --one-file-system "$ROOT"
}
