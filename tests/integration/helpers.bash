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
#   wait_for SECONDS CMD..  until CMD succeeds
#   in_runtime_mode MODE    skips unless the machine has cgroups of that mode: v1, hybrid, v2
# A file with its own setup or teardown calls begin_test and end_test in them.

bats_require_minimum_version 1.5.0

LIB=$(cd "$BATS_TEST_DIRNAME/../lib" && pwd)
TOP=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
: "${RUNTIME:=$TOP/build/out/bin/drupe}" "${PROBE:=$TOP/build/musl/tests/lib/probe}" "${TEST_CACHE:=$TOP/build/cache}"
: "${DRUPE_TIMEOUT:=30}"

setup() { begin_test; }
teardown() { end_test; }

begin_test() {
    TOKEN=t$$-$RANDOM
    ROOT=$BATS_TEST_TMPDIR/root
    UNMOUNT=()
    mkdir -m 0700 "$ROOT"
    snapshot "$BATS_TEST_TMPDIR/.before"
}

# Fails a test that passed, but left something behind; cleans up in any case.
end_test() {
    local leaks='' m
    jobs -pr >"$BATS_TEST_TMPDIR/.jobs"
    for m in "${UNMOUNT[@]}"; do umount -R "$m" || umount -l "$m"; done
    if ! leaks=$(wait_for_no_leaks); then
        clean_up
        if [ -n "$BATS_TEST_COMPLETED" ]; then
            printf 'the test left behind:\n%s\n' "$leaks"
            return 1
        fi
    fi
    rm -rf --one-file-system "$BATS_TEST_TMPDIR"/bundle*
}

# ---------------------------------------------------------------------------------------------------------------------- the runtime

drupe() { timeout --foreground -k 5 "$DRUPE_TIMEOUT" "$RUNTIME" --root "$ROOT" "$@" 3>&-; }

detached() { drupe "$@" </dev/null >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"; }

run_container() { run drupe run --bundle "$BUNDLE" "$@" "$(container_id)"; }

container_id() { echo "$TOKEN${1:+-$1}"; }

# wait_for SECONDS COMMAND...
wait_for() {
    local until=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/[.,]/}" -lt "$until" ] || return 1
        sleep 0.02
    done
}

in_runtime_mode() {
    local mode=v1
    case $(stat -f -c %T /sys/fs/cgroup) in
    cgroup2fs) mode=v2 ;;
    *) [ ! -d /sys/fs/cgroup/unified ] || mode=hybrid ;;
    esac
    [ "$mode" = "$1" ] || skip "needs cgroup $1, this machine has $mode"
}

# ------------------------------------------------------------------------------------------------------------------------- bundles

# The root file system that bundles are copied from, made once; its name changes with what it is made from.
rootfs_template() {
    local busybox key dir new applet
    busybox=$(command -v busybox) || return 1
    key=$(cat "$busybox" "$PROBE" "${BASH_SOURCE[0]}" | cksum | tr ' ' -)
    dir=$TEST_CACHE/rootfs-$key
    if [ ! -d "$dir" ]; then
        new=$(mktemp -d "$TEST_CACHE/new.XXXXXX") && chmod 0755 "$new" || return 1
        mkdir -p "$new"/{bin,dev,etc,home,proc,root,run,sbin,sys,tmp,usr/bin,var} && chmod 1777 "$new/tmp"
        cp "$busybox" "$new/bin/busybox"
        cp "$PROBE" "$new/probe"
        for applet in $("$busybox" --list); do
            [ "$applet" = busybox ] || ln -s busybox "$new/bin/$applet"
        done
        printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'user:x:1000:1000:user:/home:/bin/sh' >"$new/etc/passwd"
        printf '%s\n' 'root:x:0:' 'tty:x:5:' 'user:x:1000:' 'extra:x:2000:user' >"$new/etc/group"
        # Another run may have been quicker; either tree will do.
        mv -T "$new" "$dir" 2>/dev/null || rm -rf "$new"
    fi
    echo "$dir"
}

setup_bundle() {
    local template
    template=$(rootfs_template) || return 1
    BUNDLE=$BATS_TEST_TMPDIR/bundle${1:+-$1}
    mkdir "$BUNDLE"
    cp -a "$template" "$BUNDLE/rootfs"
    cp "$LIB/base_config.json" "$BUNDLE/config.json"
}

# config [JQ-OPTION]... PROGRAM
config() {
    jq "$@" <"$BUNDLE/config.json" >"$BUNDLE/.config.json" && mv "$BUNDLE/.config.json" "$BUNDLE/config.json"
}

# As text between separators, since jq would take words that begin with a dash for its own options.
args() { config --argjson args "$(printf '%s\037' "$@" | jq -Rs 'split("\u001f")[:-1]')" '.process.args = $args'; }

docker_like() {
    local profile=/usr/share/containers/seccomp.json files=$BATS_TEST_TMPDIR/files
    [ -f "$profile" ] || skip "needs $profile (package golang-github-containers-common)"
    mkdir -p "$files"
    echo "$TOKEN" >"$files/hostname"
    echo '127.0.0.1 localhost' >"$files/hosts"
    cp /etc/resolv.conf "$files/resolv.conf" 2>/dev/null || : >"$files/resolv.conf"
    config -f "$LIB/docker_config.jq" --slurpfile profile "$profile" --arg id "$TOKEN" --arg files "$files"
}

# Debian as tools/debian makes it, once; every test sees it through an overlay, unmounted at its end.
debian_rootfs() {
    local dir=$TEST_CACHE/debian-bookworm over=$BATS_TEST_TMPDIR/overlay why
    why=$("$TOP/tools/debian" "$dir" 2>&1 3>&-) || skip "$why"
    mkdir -p "$over/upper" "$over/work"
    rm -rf "$BUNDLE/rootfs"
    mkdir "$BUNDLE/rootfs"
    mount -t overlay -o "lowerdir=$dir,upperdir=$over/upper,workdir=$over/work" overlay "$BUNDLE/rootfs"
    UNMOUNT+=("$BUNDLE/rootfs")
    cp "$PROBE" "$BUNDLE/rootfs/probe"
}

# ---------------------------------------------------------------------------------------------------------------------- leak check

# What the machine holds now, one thing a line, by kind. Kinds that are ours alone (by the adopting process, the mount namespace of
# the run, the state directory or the token in a name) are compared as they are; cgroups and shared memory belong to the whole
# machine: with SHARED_MACHINE=1, for a machine on which others run containers too, only names with the token count.
snapshot() {
    {
        cut -d' ' -f1-5 /proc/self/mountinfo | sed 's/^/mount /'
        list_cgroups | sed 's/^/cgroup /'
        list_processes | sed 's/^/process /'
        # Held by a process that is not ours any more, or by a mount: either shows above as well, but not by its name.
        find /run/netns -mindepth 1 -maxdepth 1 2>/dev/null | sed 's/^/network namespace /'
        find /dev/shm /dev/mqueue -mindepth 1 2>/dev/null | only_ours | sed 's/^/shared memory /'
        tail -qn +2 /proc/sysvipc/* | awk '{ print "sysv ipc", $1, $2 }' | only_ours
        sed -n "s/.* \\(_ses[^ ]*${TOKEN}[^ ]*\\): .*/key \\1/p" /proc/keys
        find "$ROOT" -mindepth 1 -maxdepth 2 2>/dev/null | sed 's/^/state /'
    } | sort >"$1"
}

only_ours() {
    if [ -n "${SHARED_MACHINE-}" ]; then grep -F "$TOKEN" || true; else cat; fi
}

# What the machine's own services make and remove meanwhile is none of ours: a container's cgroup lies below "drupe" or bears the
# token. The directory that the runtime keeps for all its containers may stay.
list_cgroups() {
    find /sys/fs/cgroup -mindepth 1 -type d 2>/dev/null | grep -F -e /drupe/ -e "$TOKEN" | only_ours
}

# Orphans that descendants of the test run left behind, and jobs of the test's own shell; not the dead about to be collected.
list_processes() {
    local pid state rest
    for pid in $(cat "/proc/${REAPER_PID:-none}/task/${REAPER_PID:-none}/children" "$BATS_TEST_TMPDIR/.jobs" 2>/dev/null); do
        { read -r rest <"/proc/$pid/stat"; } 2>/dev/null || continue
        state=${rest##*) }
        [ "${state%% *}" = Z ] || echo "$pid $(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | cut -c 1-100) ($(readlink "/proc/$pid/exe"))"
    done
}

# Prints what is there now and was not before, or was and is not; status 1 if anything.
leaks() {
    snapshot "$BATS_TEST_TMPDIR/.after"
    comm -13 "$BATS_TEST_TMPDIR/.before" "$BATS_TEST_TMPDIR/.after" | sed 's/^/  /'
    comm -23 "$BATS_TEST_TMPDIR/.before" "$BATS_TEST_TMPDIR/.after" | sed 's/^/  gone: /'
    cmp -s "$BATS_TEST_TMPDIR/.before" "$BATS_TEST_TMPDIR/.after"
}

# Namespaces, cgroups and above all keyrings (freed by RCU callbacks that the kernel may put off for 10 s) end a little after their
# last process.
wait_for_no_leaks() {
    local found until=$((${EPOCHREALTIME/[.,]/} + ${LEAK_WAIT_MS:-20000} * 1000))
    until found=$(leaks); do
        if [ "${EPOCHREALTIME/[.,]/}" -ge "$until" ]; then
            echo "$found"
            return 1
        fi
        sleep 0.05
    done
}

# For the tests that follow. Best effort, of what is surely this test's own.
clean_up() {
    local id pid cgroup
    # With an empty one every cgroup of the machine would bear our name.
    [ -n "${TOKEN-}" ] || return 0
    for id in "$ROOT"/*/; do
        [ -d "$id" ] || continue
        drupe delete --force "$(basename "$id")" >/dev/null 2>&1 || true
    done
    for pid in $(cat "$BATS_TEST_TMPDIR/.jobs") $(comm -13 "$BATS_TEST_TMPDIR/.before" "$BATS_TEST_TMPDIR/.after" | sed -n 's/^process \([0-9]*\) .*/\1/p'); do
        # A number may be another process by now; one that is still our orphan is not.
        case " $(cat "/proc/${REAPER_PID:-none}/task/${REAPER_PID:-none}/children" 2>/dev/null) $(jobs -p | tr '\n' ' ') " in
        *" $pid "*) kill -KILL "$pid" 2>/dev/null || true ;;
        esac
    done
    comm -13 "$BATS_TEST_TMPDIR/.before" "$BATS_TEST_TMPDIR/.after" | sed -n 's/^mount [0-9]* [0-9]* [^ ]* [^ ]* //p' | tac | while read -r id; do
        umount -l "$id" 2>/dev/null || true
    done
    sleep 0.1
    for cgroup in $(find /sys/fs/cgroup -depth -type d -name "*$TOKEN*" 2>/dev/null); do
        for id in $(cat "$cgroup/cgroup.procs" 2>/dev/null); do kill -KILL "$id" 2>/dev/null || true; done
        rmdir "$cgroup" 2>/dev/null || true
    done
    rm -rf --one-file-system "$ROOT"
}
