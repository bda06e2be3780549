#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell and for jq
# The root of a container: where it comes from, how it is entered, its /dev, its masks, its view of cgroups.
load helpers

setup() {
    begin_test
    setup_bundle
}

# inside SCRIPT: runs it by the container's shell; the container must start.
inside() {
    args sh -c "$1; :"
    run_container
    [ "$status" = 0 ] || { echo "$output"; return 1; }
}

refused() {
    run_container
    [ "$status" = 1 ]
    for text; do
        [[ "$output" == *"$text"* ]] || { printf 'no "%s" in: %s\n' "$text" "$output"; return 1; }
    done
}

has_line() {
    for line; do
        grep -qxF -e "$line" <<<"$output" || { printf 'no line "%s" in: %s\n' "$line" "$output"; return 1; }
    done
}

user_ns() {
    config '.linux.namespaces += [{ type: "user" }] | .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
        | .linux.gidMappings = .linux.uidMappings'
    chown -hR 100000:100000 "$BUNDLE/rootfs"
}

without_ns() { config --arg t "$1" '.linux.namespaces |= map(select(.type != $t))'; }

no_mount_ns() {
    without_ns mount
    config 'del(.mounts, .linux.maskedPaths, .linux.readonlyPaths)'
}

with_caps() { config '$ARGS.positional as $c | .process.capabilities |= map_values(. + $c)' --args "$@"; }

# ---------------------------------------------------------------------------------------------------------------------- root.path

@test "root.path: relative, absolute, through links; missing or no directory is refused by name" {
    inside 'echo relative'
    has_line relative
    config --arg p "$BUNDLE/rootfs" '.root.path = $p'
    inside 'echo absolute'
    has_line absolute
    ln -s rootfs "$BUNDLE/link"
    config '.root.path = "link"'
    inside 'echo link'
    has_line link
    config '.root.path = "missing"'
    refused 'root.path' "$BUNDLE/missing" 'No such file or directory'
    config '.root.path = "config.json"'
    refused 'root.path' "$BUNDLE/config.json"
    config '.root.path = ""'
    refused 'root.path'
    config 'del(.root)'
    refused 'root'
}

@test "root.readonly: in force, but after the mount points, the working directory and the console were made" {
    config '.root.readonly = true | .process.cwd = "/new/cwd" | .mounts += [{ destination: "/new/mount", type: "tmpfs", source: "tmpfs" }]'
    inside 'pwd; touch /x 2>&1; mkdir /tmp/x 2>&1; touch /new/mount/x && echo writable; echo x >/dev/null && echo null; grep " / " /proc/self/mountinfo'
    has_line /new/cwd writable null
    [[ "$output" == *'/x: Read-only'*'/tmp/x'*'Read-only'*' / ro,'* ]]
    [[ "$(grep -F " $BUNDLE" /proc/self/mountinfo)" != *' ro'* ]]
    touch "$BUNDLE/rootfs/still-writable"
}

@test "root: nothing of the host's mounts is left to see or to reach" {
    with_caps CAP_SYS_ADMIN CAP_SYS_CHROOT CAP_DAC_READ_SEARCH
    for how in --no-pivot ''; do
        args sh -c 'ls /proc/1/root/; cut -d" " -f5 /proc/self/mountinfo | cut -d/ -f2 | sort -u; mkdir -p /jail; chroot /jail /bin/true;
            cd /../../..; ls -d tmp/bats* 2>/dev/null; umount -l / 2>/dev/null; ls /work 2>/dev/null; :'
        # shellcheck disable=SC2086
        run_container $how
        [ "$status" = 0 ]
        [ "$(sed -n '/^$/,$p' <<<"$output" | xargs)" = 'dev proc sys' ] || [[ "$output" != *bats* ]]
        [[ "$output" != *bats-run* ]]
    done
}

@test "--no-pivot: works, keeps the host's /proc and /sys out of reach, and shows the same root" {
    args sh -c 'ls /; cut -d" " -f3,5 /proc/self/mountinfo | grep -e " /proc" -e " /sys"; ls /proc | grep -c "^[0-9]"; :'
    run_container --no-pivot
    [ "$status" = 0 ]
    [[ "$output" == *probe* ]]
    [ "$(tail -n 1 <<<"$output")" -lt 10 ]
    config '.linux.rootfsPropagation = "rprivate"'
    run_container --no-pivot
    [ "$status" = 1 ]
    [[ "$output" == *linux.rootfsPropagation* ]]
}

@test "without a mount namespace it is a chroot; everything that would mount is refused" {
    no_mount_ns
    inside 'ls -d /probe; stat -c "%n %t:%T" /dev/null /dev/zero; cd /; pwd'
    has_line /probe '/dev/null 1:3' '/dev/zero 1:5' /
    [ -c "$BUNDLE/rootfs/dev/null" ]
    for edit in '.mounts = [{ destination: "/m", type: "tmpfs", source: "t" }]' '.linux.maskedPaths = ["/etc"]' \
        '.linux.readonlyPaths = ["/etc"]' '.root.readonly = true' '.linux.rootfsPropagation = "rslave"'; do
        config "$edit"
        refused 'no mount namespace of its own'
        config 'del(.mounts, .linux.maskedPaths, .linux.readonlyPaths, .root.readonly, .linux.rootfsPropagation)'
    done
}

@test "without a mount namespace a terminal leaves no mount behind on the host" {
    no_mount_ns
    mkdir "$BUNDLE/rootfs/dev/pts"
    mount -t devpts -o ptmxmode=666 devpts "$BUNDLE/rootfs/dev/pts"
    UNMOUNT+=("$BUNDLE/rootfs/dev/pts")
    config '.process.terminal = true'
    args /probe tty
    mkfifo "$BATS_TEST_TMPDIR/stdin" # never at its end
    run timeout "$DRUPE_TIMEOUT" script -qec "'$RUNTIME' --root '$ROOT' run --bundle '$BUNDLE' '$TOKEN'" /dev/null <>"$BATS_TEST_TMPDIR/stdin" 3>&-
    [[ "$output" == *'isatty 0 '* ]] || { echo "$output"; return 1; }
    run ! grep -F "$BUNDLE/rootfs/dev/console" /proc/self/mountinfo
}

@test "rootfsPropagation: each value shows on the root, and no value lets a mount of the container out" {
    local value want
    with_caps CAP_SYS_ADMIN
    mount --bind "$BUNDLE/rootfs" "$BUNDLE/rootfs"
    UNMOUNT+=("$BUNDLE/rootfs")
    mount --make-shared "$BUNDLE/rootfs"
    while read -r value want; do
        config --arg v "$value" '.linux.rootfsPropagation = $v'
        inside 'mount -t tmpfs out /home; sed -n "s/.* \/ [^ ]* \(.*\) - .*/[\1]/p; s/.* \/ [^ ]* - .*/[]/p" /proc/self/mountinfo'
        [[ "$(grep '^\[' <<<"$output")" == "[$want"* ]] || { echo "$value: $output"; return 1; }
        run ! grep -F "$BUNDLE/rootfs/" /proc/self/mountinfo
    done <<'END'
private ]
rprivate ]
slave master:
rslave master:
shared shared:
rshared shared:
unbindable unbindable
runbindable unbindable
END
    config '.linux.rootfsPropagation = "nonsense"'
    refused 'linux.rootfsPropagation'
}

# --------------------------------------------------------------------------------------------------------------------------- /dev

@test "dev: the default nodes and links, exactly, with their modes" {
    inside 'cd /dev; stat -c "%n %F %t:%T %a %u:%g" null zero full random urandom tty; for l in fd stdin stdout stderr ptmx core; do echo $l $(readlink $l); done; ls -A | wc -l; [ -e /proc/kcore ] && echo kcore'
    for d in 'null 1:3' 'zero 1:5' 'full 1:7' 'random 1:8' 'urandom 1:9' 'tty 5:0'; do
        has_line "${d% *} character special file ${d#* } 666 0:0"
    done
    has_line 'fd /proc/self/fd' 'stdin /proc/self/fd/0' 'stdout /proc/self/fd/1' 'stderr /proc/self/fd/2' 'ptmx pts/ptmx'
    # and the mount points mqueue, pts, shm; core only where there is something to link to
    if grep -qx kcore <<<"$output"; then
        has_line 'core /proc/kcore' 15
    else
        has_line 14
    fi
}

@test "dev: the default nodes can be used, others cannot" {
    args /probe open /dev/null w , open /dev/zero r , open /dev/full w , open /dev/random r , open /dev/urandom r , open /dev/ptmx r , \
        mknod /dev/disk b 254 0 , open /dev/disk r , mknod /dev/mem c 1 1 , open /dev/mem r
    run_container
    [ "$status" = 0 ]
    [ "$(grep -c '^open 0$' <<<"$output")" = 6 ]
    [ "$(grep -c '^open error EPERM$' <<<"$output")" = 2 ]
}

@test "devices: every type, with mode, owner and missing directories; names are relative to /dev too" {
    config '.linux.devices = [
        { path: "/dev/deep/er/c", type: "c", major: 1, minor: 5, fileMode: 416, uid: 7, gid: 8 },
        { path: "b", type: "b", major: 7, minor: 200 },
        { path: "/dev/u", type: "u", major: 1, minor: 9, fileMode: 33152 },
        { path: "/run/p", type: "p", fileMode: 384 },
        { path: "/dev/null", type: "c", major: 1, minor: 3, fileMode: 438, gid: 5 }]'
    umask 077
    inside 'cd /dev; stat -c "%n %F %t:%T %a %u:%g" deep/er deep/er/c b u /run/p null'
    has_line 'deep/er directory 0:0 755 0:0' 'deep/er/c character special file 1:5 640 7:8' 'b block special file 7:c8 666 0:0' \
        'u character special file 1:9 600 0:0' '/run/p fifo 0:0 600 0:0' 'null character special file 1:3 666 0:5'
}

@test "devices: something else at the path is an error that names it; the very device is fine" {
    config '.mounts |= map(select(.destination | startswith("/dev") | not)) | .linux.devices = [{ path: "/dev/x", type: "c", major: 1, minor: 5 }]'
    mknod "$BUNDLE/rootfs/dev/x" c 1 5
    inside 'echo same'
    has_line same
    rm "$BUNDLE/rootfs/dev/x"
    mknod "$BUNDLE/rootfs/dev/x" c 1 3
    refused 'linux.devices[0] (/dev/x)'
    rm "$BUNDLE/rootfs/dev/x"
    ln -s /dev/zero "$BUNDLE/rootfs/dev/x"
    refused 'linux.devices[0] (/dev/x)'
    config '.linux.devices[0].type = "z"'
    refused 'linux.devices[0].type'
    config '.linux.devices = [{ path: "/dev/x", type: "c" }]'
    refused 'linux.devices[0]'
}

@test "devices: in a user namespace they are the host's own, and one that the host lacks is an error" {
    user_ns
    config '.linux.devices = [{ path: "/dev/kmsg", type: "c", major: 1, minor: 11 }, { path: "/dev/p", type: "p" }]'
    inside 'cd /dev; stat -c "%n %F %t:%T" null zero full random urandom tty kmsg p; echo x >/dev/null && echo writable; grep -e "/dev/null" -e "/dev/kmsg" /proc/self/mountinfo | cut -d" " -f6'
    has_line 'null character special file 1:3' 'tty character special file 5:0' 'kmsg character special file 1:b' 'p fifo 0:0' writable
    [[ "$(tail -n 1 <<<"$output")" == *nosuid*noexec* ]]
    config '.linux.devices[0].path = "/dev/not-there"'
    refused 'linux.devices[0] (/dev/not-there)' 'No such file'
    config '.linux.devices[0] = { path: "/dev/null", type: "c", major: 1, minor: 5 }'
    refused 'linux.devices[0] (/dev/null)' '1:5'
}

@test "dev: a bind of the host's /dev is left alone" {
    config '.mounts |= map(select(.destination | startswith("/dev") | not)) + [{ destination: "/dev", type: "none", source: "/dev", options: ["rbind", "ro"] }]
        | .linux.devices = [{ path: "/dev/drupe-test", type: "c", major: 1, minor: 5 }]'
    inside 'ls -d /dev/null /dev/drupe-test 2>&1'
    [[ "$output" == *'/dev/drupe-test: No such file'* ]]
    [ ! -e /dev/drupe-test ]
}

# --------------------------------------------------------------------------------------------------------------- masks, read-only

@test "masked paths: directories and files are empty, missing ones do not matter, links lead to what is covered" {
    mkdir -p "$BUNDLE/rootfs/var/secret" "$BUNDLE/rootfs/var/other"
    echo secret | tee "$BUNDLE/rootfs/var/secret/f" "$BUNDLE/rootfs/var/file" "$BUNDLE/rootfs/var/other/f" >/dev/null
    ln -s other "$BUNDLE/rootfs/var/link"
    config '.linux.maskedPaths += ["/var/secret", "/var/file", "/var/link", "/nowhere", "/var/file/below", "/var/file", "/var/../var/secret/"]'
    inside 'ls -A /var/secret /var/other; cat /var/file /var/link/f 2>&1; echo x >/var/file; touch /var/secret/x 2>&1; stat -c %s /sys/firmware/* 2>&1; cat /proc/kcore | wc -c; cat /proc/keys | wc -c'
    [[ "$output" != *secret$'\n'* ]] || [[ "$output" != *$'\nsecret' ]]
    [ "$(grep -cx secret <<<"$output")" = 0 ]
    [[ "$output" == *'/var/secret/x: Read-only'* ]]
    [ "$(tail -n 2 <<<"$output" | xargs)" = '0 0' ]
    [ "$(cat "$BUNDLE/rootfs/var/file")" = secret ]
}

@test "masked and read-only paths cannot be undone from inside" {
    inside 'umount /proc/kcore 2>&1; umount /proc/sys 2>&1; mount -o remount,rw /proc/sys 2>&1; mount -t proc proc /tmp 2>&1; mv /proc/sys /x 2>&1; echo 1 >/proc/sys/vm/drop_caches; echo b >/proc/sysrq-trigger'
    [ "$(grep -c -i -e 'permitted' -e denied -e 'are you root' -e 'read-only' -e 'cross-device' <<<"$output")" -ge 6 ]
}

@test "read-only paths: ro with the flags of what they are part of, and what is mounted below stays as it was" {
    mkdir -p "$BUNDLE/rootfs/var/data"
    config '.mounts += [{ destination: "/m", type: "tmpfs", source: "t", options: ["nosuid", "nodev", "noexec", "noatime"] },
            { destination: "/m/below/rw", type: "tmpfs", source: "t" }]
        | .linux.readonlyPaths += ["/m/below", "/var/data", "/nowhere", "/proc/sysrq-trigger"]'
    inside 'awk "{ print \$5, \$6 }" /proc/self/mountinfo; touch /m/below/x /var/data/x 2>&1; touch /m/x /m/below/rw/x /var/x && echo writable; echo x >/proc/sys/kernel/panic'
    has_line '/m/below ro,nosuid,nodev,noexec,noatime' writable
    # the flags of the root, which are those of the host's mount
    has_line "/var/data ro,$(sed -n 's,^/ rw\,,,p' <<<"$output")"
    [ "$(grep -c 'Read-only file system' <<<"$output")" = 3 ]
}

@test "masked and read-only paths must be absolute" {
    config '.linux.maskedPaths = ["etc"]'
    refused 'linux.maskedPaths[0]'
    config '.linux.maskedPaths = [] | .linux.readonlyPaths = ["/"]'
    refused 'linux.readonlyPaths[0]'
}

# ------------------------------------------------------------------------------------------------------------------------ cgroups

# The cgroups that the container sees, and what it may do there.
look_at_cgroups='cd /sys/fs/cgroup; for d in . *; do [ -L $d ] || [ ! -f $d/cgroup.procs ] || echo "$d $(xargs <$d/cgroup.procs)"; done;
    find . -name release_agent; for d in . *; do mkdir $d/x 2>/dev/null && echo "made $d/x"; done; echo 1 2>/dev/null >./cgroup.procs && echo wrote; cat /proc/self/cgroup'

@test "cgroup mount, v1 and hybrid: every hierarchy, read-only, the own cgroup only" {
    [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] || skip 'needs cgroup v1'
    inside "$look_at_cgroups; readlink cpu cpuacct; awk '{ print \$5, \$6 }' /proc/self/mountinfo | grep cgroup"
    for d in /sys/fs/cgroup/*/; do
        d=$(basename "$d")
        [ -f "/sys/fs/cgroup/$d/cgroup.procs" ] || continue
        [[ "$(grep "^$d " <<<"$output")" == "$d 1"* ]] || { echo "$d: $output"; return 1; }
        [[ "$(grep "^/sys/fs/cgroup/$d " <<<"$output")" == *' ro,nosuid,nodev,noexec'* ]]
    done
    [[ "$output" != *made* ]]
    [[ "$output" != *release_agent* ]]
    [ "$(grep -c ':/$' <<<"$output")" = "$(grep -c . /proc/self/cgroup)" ]
}

@test "cgroup mount, v1: without a cgroup namespace it is the own cgroup only, too" {
    [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] || skip 'needs cgroup v1'
    without_ns cgroup
    inside "$look_at_cgroups"
    [[ "$(grep '^pids ' <<<"$output")" == 'pids 1'* ]]
    [[ "$output" != *made* ]]
    [[ "$output" != *release_agent* ]]
}

@test "cgroup mount, v1: writable when the config says so, within the own cgroup" {
    [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] || skip 'needs cgroup v1'
    config '.mounts |= map(if .type == "cgroup" then .options -= ["ro"] else . end)'
    inside 'mkdir /sys/fs/cgroup/pids/sub && echo made; [ -e /sys/fs/cgroup/pids/release_agent ] || echo none; rmdir /sys/fs/cgroup/pids/sub'
    has_line made none
}

# Where cgroup2 alone is mounted: runs the bundle; output as usual.
run_in_v2() {
    args sh -c "$1; :"
    if [ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ]; then
        run_container
    else
        run unshare -m --propagation private sh -c 'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup && exec "$@"' sh \
            timeout "$DRUPE_TIMEOUT" "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$TOKEN" 3>&-
    fi
    [ "$status" = 0 ] || { echo "$output"; return 1; }
}

@test "cgroup mount, v2: read-only, the own subtree as the root" {
    run_in_v2 "$look_at_cgroups; grep cgroup /proc/self/mountinfo"
    [[ "$(grep '^\. ' <<<"$output")" == '. 1'* ]]
    has_line 0::/
    [[ "$output" != *made* ]]
    [[ "$output" != *wrote* ]]
    [[ "$output" == *'/sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2'* ]]
}

@test "cgroup mount, v2: without a cgroup namespace the host's, read-only" {
    without_ns cgroup
    run_in_v2 "$look_at_cgroups; grep cgroup /proc/self/mountinfo; ls -d drupe-*"
    [[ "$output" != *made* ]]
    [[ "$output" == *"0::/drupe-$TOKEN"* ]]
    has_line "drupe-$TOKEN"
    [[ "$output" == *'/sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2'* ]]
}

@test "cgroup mount, v2: in a user namespace without a cgroup namespace, the own cgroup only" {
    user_ns
    without_ns cgroup
    run_in_v2 "$look_at_cgroups; grep cgroup /proc/self/mountinfo"
    [[ "$(grep '^\. ' <<<"$output")" == '. 1'* ]]
    [[ "$output" != *made* ]]
    [[ "$output" == *"/drupe-$TOKEN /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2"* ]]
}

@test "cgroup mount, v2: the options that the host set on its cgroup2 stay" {
    # Changes an option of the one cgroup2 there is, for everybody; only where that is this test's own machine.
    [ -n "${DRUPE_LANE-}" ] || skip 'only in a lane'
    mount -o remount,nsdelegate,memory_recursiveprot /sys/fs/cgroup
    without_ns cgroup
    run_in_v2 'ls /sys/fs/cgroup'
    grep -q ' /sys/fs/cgroup .*nsdelegate,memory_recursiveprot' /proc/self/mountinfo
}

@test "a read-only devtmpfs in the container leaves the host's /dev writable" {
    [ -n "${DRUPE_LANE-}" ] || skip 'only in a lane'
    config '.mounts += [{ destination: "/d", type: "devtmpfs", source: "d", options: ["ro"] }]'
    inside 'touch /d/x 2>&1'
    [[ "$output" == *'Read-only'* ]]
    run ! grep ' - devtmpfs .* ro' /proc/self/mountinfo
}

@test "a masked file leaves mode and owner of the host's null device alone" {
    config '.linux.maskedPaths = ["/proc/keys"]'
    args /bin/sh -c 'chmod 0666 /proc/keys && echo changed; echo x >/proc/keys && echo written; cat /proc/keys'
    run_container
    [[ "$output" != *changed* ]]
    [[ "$output" == *written* ]]
}
