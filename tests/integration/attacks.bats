#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell and for jq
# What a hostile image, or another container, may do to paths while a container is made. Whatever becomes of the container: the
# host must be as before. Every test ends with a look at a tree of canaries beside the rootfs, and at host files of /proc.
load helpers

setup() {
    begin_test
    setup_bundle
    T=$BATS_TEST_TMPDIR
    R=$BUNDLE/rootfs
    H=$T/host
    mkdir -p "$H/dir/sub" "$H/empty"
    echo canary | tee "$H/file" "$H/dir/file" "$H/dir/sub/file" "$H/ptmx" "$H/null" "$H/console" >/dev/null
    chmod 0700 "$H/dir" "$H/empty"
    ln -s file "$H/link"
    core_pattern=$(cat /proc/sys/kernel/core_pattern)
    canaries >"$T/canaries"
}

teardown() {
    local ok=0
    canaries | diff "$T/canaries" - || ok=1
    [ "$(cat /proc/sys/kernel/core_pattern)" = "$core_pattern" ] || ok=1
    end_test && return $ok
}

# Everything about the host's tree that a stray mkdir, touch, chmod, chown, mknod, mount or write would change.
canaries() {
    find "$H" -printf '%P %y %m %U:%G %s %n %i %T@ %C@ %l\n' | sort
    find "$H" -type f -exec cksum {} + | sort
    grep -F "$H" /proc/self/mountinfo || :
}

bundle_mount() {
    config '$ARGS.positional as [$d, $t, $s] | .mounts += [{ destination: $d, type: $t, source: $s, options: $ARGS.positional[3:] }]' --args "$@"
}

# attempt SCRIPT [RUN-OPTION]...: runs it inside; the container may be refused, but then by us, with one line, and in time.
attempt() {
    args sh -c "$1; :"
    shift
    run_container "$@"
    [ "$status" = 0 ] || { [ "$status" = 1 ] && [[ "$output" == drupe:* ]] && [ "$(wc -l <<<"$output")" = 1 ]; } || {
        echo "status $status: $output"
        return 1
    }
    [[ "$output" != *canary* ]]
}

refused() {
    run_container
    [ "$status" = 1 ]
    [[ "$output" == *"$1"* ]] || { echo "$output"; return 1; }
}

# Image content instead of the mounts on /dev.
bare_dev() { config '.mounts |= map(select(.destination | startswith("/dev") | not))'; }

# ------------------------------------------------------------------------------------------------------------- /dev and the console

@test "A4: a hostile /dev/null covers no masked path, and nothing is written through it" {
    local dev=$T/dev target
    for target in /proc/sys/kernel/core_pattern "$H/file" /proc/self/attr/exec; do
        rm -rf "$dev"
        mkdir "$dev"
        ln -s "$target" "$dev/null"
        config --arg dev "$dev" '.mounts |= map(select(.destination | startswith("/dev") | not)) + [{ destination: "/dev", type: "none", source: $dev, options: ["bind"] }]'
        attempt 'cat /proc/keys; cat /proc/timer_list; echo x >/proc/keys; echo finished'
        [ "$output" = finished ]
        # The same in the image itself.
        bare_dev
        rm -rf "${R:?}/dev"
        cp -a "$dev" "${R:?}/dev"
        attempt 'cat /proc/keys; cat /proc/timer_list; echo finished'
        [ "$output" = finished ]
    done
    # Another device by the name of null.
    rm "$R/dev/null"
    mknod "$R/dev/null" c 1 5
    attempt 'head -c 10 /proc/keys | wc -c'
    [ "$output" = 0 ]
}

# Runs with a terminal; the console socket must get the master of a pty.
with_terminal() {
    config '.process.terminal = true'
    args /probe tty , stat /dev/console
    run python3 - "$T/console.sock" timeout "$DRUPE_TIMEOUT" "$RUNTIME" --root "$ROOT" run --detach --bundle "$BUNDLE" --console-socket "$T/console.sock" "$TOKEN" 3>&- <<'END'
import array, fcntl, os, select, socket, subprocess, sys, time
path = sys.argv[1]
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(1)
runtime = subprocess.Popen(sys.argv[2:])
while not select.select([listener], [], [], 0.05)[0]:
    if runtime.poll() is not None:
        sys.exit(runtime.returncode)
conn = listener.accept()[0]
fds = array.array("i", socket.recv_fds(conn, 4096, 8)[1])
assert len(fds) == 1, fds
number = array.array("I", [0])
fcntl.ioctl(fds[0], 0x80045430, number, True)  # TIOCGPTN: only the master of a pty knows it
print("pty", number[0])
status = runtime.wait()
ends = 0
while status == 0 and ends < 2:
    try:
        data = os.read(fds[0], 4096)
    except OSError: # the last data may come to light a moment after the end
        ends += 1
        time.sleep(0.1)
        continue
    if not data:
        break
    sys.stdout.write(data.decode())
sys.exit(status)
END
    drupe delete --force "$TOKEN"
}

@test "A5: links, directories and special files as /dev/console, /dev/ptmx, /dev/pts give a real terminal and nothing else" {
    local where name target
    for where in mounted pts image; do
        [ "$where" != pts ] || config '.mounts |= map(select(.destination == "/dev/pts" or (.destination | startswith("/dev") | not)))'
        [ "$where" != image ] || bare_dev
        for name in console ptmx pts pts/0; do
            rm -rf "${R:?}/dev"
            mkdir -p "$R/dev/$(dirname "$name")"
            for target in "$H/file" "$H/made-$where"; do
                ln -sfn "$target" "$R/dev/$name"
                with_terminal
                [ "$status" = 0 ] || { echo "$where $name: $output"; return 1; }
                [[ "$output" == *"pty "*"isatty 0 "* ]] || { echo "$where $name: $output"; return 1; }
                [[ "$output" != *canary* ]]
            done
        done
    done
    for name in 'mkfifo' 'mkdir -p' 'mknod -m 600 c' 'ln -f /etc/passwd'; do
        rm -rf "${R:?}/dev"
        mkdir "${R:?}/dev"
        case $name in
        mknod*) mknod "$R/dev/console" c 1 3 ;;
        ln*) ln "$R/etc/passwd" "$R/dev/console" ;;
        *) $name "$R/dev/console" "$R/dev/ptmx" ;;
        esac
        with_terminal
        [ "$status" = 0 ] || { echo "$name: $output"; return 1; }
        [[ "$output" == *"pty "* ]]
    done
    grep -q root "$R/etc/passwd"
}

@test "A10: /dev of the image is a link to a host directory, or leads there" {
    local target
    bare_dev
    for target in "$H" "../../../../../../..$H" "/proc/1/root$H" "$H/empty" "$H/dir/sub"; do
        rm -rf "${R:?}/dev"
        ln -s "$target" "${R:?}/dev"
        attempt 'ls -d /dev/null; echo finished'
        with_terminal
        config '.process.terminal = false'
    done
    # With mounts on it, too.
    cp "$LIB/base_config.json" "$BUNDLE/config.json"
    rm -rf "${R:?}/dev"
    ln -s "$H" "${R:?}/dev"
    attempt 'echo finished'
    config '.linux.devices = [{ path: "/dev/sub/x", type: "c", major: 1, minor: 5 }]'
    attempt 'echo finished'
}

# ------------------------------------------------------------------------------------------------------------------- /proc, /sys

@test "A6: mounts over /proc in the runtime's own peer group redirect no sysctl: it is set inside or refused" {
    local i n=30 before pid set=0
    [ -z "${FULL-}" ] || n=200
    config '.linux.sysctl = { "kernel.msgmax": "12345", "net.ipv4.ip_forward": "1" } | .process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
    before=$(cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward)
    mkdir "$T/fake"
    (
        set +e
        trap 'stop=1' TERM
        while [ -z "${stop-}" ]; do
            for i in kernel net/ipv4; do mount -t tmpfs fake "/proc/sys/$i" && touch "/proc/sys/$i/msgmax" "/proc/sys/$i/ip_forward"; done
            mount -t tmpfs fake /proc/self/attr 2>/dev/null && umount /proc/self/attr
            for i in kernel net/ipv4; do umount "/proc/sys/$i"; done
        done
    ) >/dev/null 2>&1 3>&- &
    pid=$!
    args /probe read /proc/sys/kernel/msgmax , read /proc/sys/net/ipv4/ip_forward
    for ((i = 0; i < n; i++)); do
        run_container
        [ "$status" = 0 ] && [ "$output" = $'12345\n1' ] && set=$((set + 1)) && continue
        [ "$status" = 1 ] && [[ "$output" == drupe:* ]] && continue
        echo "status $status: $output"
        break
    done
    kill "$pid"
    wait "$pid" || :
    while umount /proc/sys/kernel 2>/dev/null || umount /proc/sys/net/ipv4 2>/dev/null; do :; done
    [ "$i" = "$n" ]
    [ "$set" -gt 0 ]
    [ "$(cat /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_forward)" = "$before" ]
}

@test "A6: another container that shares a mount with ours and covers /proc in it changes nothing" {
    local i n=10 other
    [ -z "${FULL-}" ] || n=200
    mkdir -p "$T/shared"
    mount -t tmpfs shared "$T/shared"
    UNMOUNT+=("$T/shared")
    mount --make-shared "$T/shared"
    mkdir -p "$T/shared/proc/self/attr" "$T/shared/proc/sys/kernel"
    # The attacker mounts in the shared tree; the victim's root is that tree.
    cp -a "$R/." "$T/shared/"
    config '.root.path = $p | .linux.rootfsPropagation = "rslave" | .linux.sysctl = { "kernel.msgmax": "12345" }
        | .process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])' --arg p "$T/shared"
    unshare -m --propagation unchanged sh -c 'trap "exit 0" TERM; echo ready >"$1/ready"; while :; do
            mount -t tmpfs fake "$1/proc" && mkdir -p "$1/proc/sys/kernel" "$1/proc/self/attr" && touch "$1/proc/sys/kernel/msgmax" && umount "$1/proc"
        done' sh "$T/shared" >/dev/null 2>&1 3>&- &
    other=$!
    wait_for 5 test -e "$T/shared/ready"
    for ((i = 0; i < n; i++)); do
        # Its /proc may be covered, that is what a slave of the attacker's mounts asks for; another instance shows what was set.
        attempt 'mount -t proc proc /tmp && cat /tmp/sys/kernel/msgmax'
        [ "$status" = 1 ] || [[ "$output" == 12345* ]] || { echo "$output"; break; }
    done
    kill "$other"
    wait "$other" || :
    while umount "$T/shared/proc" 2>/dev/null; do :; done
    [ "$i" = "$n" ]
}

@test "A7: /proc and /sys must be real directories" {
    local what name
    for name in proc sys; do
        for what in "ln -s $H" 'ln -s /tmp' 'ln -s ../../../../tmp' touch mkfifo; do
            rm -rf "${R:?}/$name"
            $what "$R/$name"
            refused "(/$name)"
        done
        rm -rf "${R:?}/$name"
        mkdir "$R/$name"
    done
}

@test "A7: nothing but procfs on /proc, and nothing below it but what lxcfs replaces, by any name" {
    local d base
    base=$(cat "$BUNDLE/config.json")
    for d in /proc/sys /proc/self/attr /proc/self /proc/1 /proc/sys/kernel /proc/../proc/sys /proc/cpuinfo/.. /proc/sysrq-trigger /etc/link/sys /var/link; do
        echo "$base" >"$BUNDLE/config.json"
        ln -sfn /proc "$R/etc/link"
        ln -sfn ../proc/self/attr "$R/var/link"
        bundle_mount "$d" tmpfs tmpfs
        refused 'mounts[7]'
        echo "$base" >"$BUNDLE/config.json"
        bundle_mount "$d" none "$H/dir" bind
        refused 'mounts[7]'
    done
    for d in "$H/dir" /proc/self /sys; do
        echo "$base" >"$BUNDLE/config.json"
        bundle_mount /proc none "$d" bind
        refused 'only a procfs'
    done
    echo "$base" >"$BUNDLE/config.json"
    bundle_mount /proc tmpfs tmpfs
    refused 'only a procfs'
    echo "$base" >"$BUNDLE/config.json"
    echo 'processor : fake' >"$T/cpuinfo"
    bundle_mount /proc/cpuinfo none "$T/cpuinfo" bind,ro
    config '.mounts[7].options = ["bind", "ro"]'
    attempt 'cat /proc/cpuinfo'
    [ "$output" = 'processor : fake' ]
}

@test "A7: tmpcopyup does not read what a link in the image leads to in procfs" {
    ln -s /proc "$R/data"
    bundle_mount /data tmpfs tmpfs tmpcopyup size=1m
    refused 'mounts[7] (/data)'
    [[ "$output" == *procfs* ]]
}

# ------------------------------------------------------------------------------------------------------------------ destinations

@test "A8: destinations through links of every kind stay in the root" {
    local i link
    mkdir -p "$R/real"
    i=0
    while read -r link; do
        i=$((i + 1))
        ln -s "$link" "$R/l$i"
        bundle_mount "/l$i" tmpfs tmpfs
        bundle_mount "/l$i/made/deep" tmpfs tmpfs
        ln -s "$link/dangling" "$R/f$i"
        bundle_mount "/f$i" none "$T/bound" bind
    done <<END
$H
$H/empty
$H/new/dir
../../../../../../../../..$H/dir
real
/real/../real
./real/../../..$H
/proc/../..$H/dir
END
    echo bound >"$T/bound"
    attempt "cat $H/file; ls $H/dir/sub; echo x >$H/dir/written; cat /f1; echo finished; cut -d' ' -f5 /proc/self/mountinfo"
    [[ "$output" == *bound*finished* ]]
    for link in "$H" "$H/made/deep" "$H/empty" "$H/new/dir/made/deep" "$H/dir" /real/made/deep "$H/dangling"; do
        grep -qxF "$link" <<<"$output" || { echo "nothing at $link: $output"; return 1; }
    done
    [ "$(cat "$T/bound")" = bound ]
}

@test "A8: long chains, loops, magic links, and .. are bounded and stay in the root" {
    local i base
    base=$(cat "$BUNDLE/config.json")
    ln -s "$H" "$R/c0"
    for i in $(seq 50); do ln -s "c$((i - 1))" "$R/c$i"; done
    ln -s loop "$R/loop"
    ln -s self/../self "$R/self"
    ln -s /proc/1/root "$R/magic"
    ln -s "/proc/self/fd/3" "$R/fd"
    ln -s "$(printf 'x/../%.0s' $(seq 600))etc" "$R/long"
    for d in /c39 /c50 /loop /loop/x /self/x /magic/tmp/x "/magic$H/x" /fd/x /long/x "/..$H/dir" "../../..$H/dir"; do
        for s in tmpfs none; do
            echo "$base" >"$BUNDLE/config.json"
            if [ "$s" = tmpfs ]; then bundle_mount "$d" tmpfs tmpfs; else bundle_mount "$d" none "$R/etc" bind; fi
            attempt "cat $H/file 2>/dev/null; echo finished"
        done
    done
}

@test "A8: masked paths, read-only paths, devices and the working directory through links stay in the root" {
    ln -s "$H" "$R/out"
    ln -s "$H/dir/file" "$R/outfile"
    ln -s "$H/new" "$R/outnew"
    config '.linux.maskedPaths += ["/out/dir", "/outfile", "/outnew"] | .linux.readonlyPaths += ["/out", "/out/dir/sub"]
        | .linux.devices = [{ path: "/out/dev", type: "c", major: 1, minor: 3 }, { path: "/outnew/dev", type: "p" }]
        | .process.cwd = "/outcwd/cwd"'
    ln -s "$H/other" "$R/outcwd"
    attempt 'pwd -P; echo finished'
    [[ "$output" == *"$H/other/cwd"*finished* ]] || { echo "$output"; return 1; }
    [ -d "$R$H/other/cwd" ]
    [ -c "$R$H/dev" ]
    bare_dev
    config 'del(.linux.devices)'
    for name in null zero full random urandom tty fd stdin ptmx console; do ln -s "$H/made-$name" "$R/dev/$name"; done
    attempt 'ls -d /dev/null; echo finished'
    [ "$status" = 0 ]
}

# race SECONDS COMMAND...: repeats the command while A and B of the image are exchanged; at least ten times.
race() {
    local seconds=$1 until pid out n=0
    shift
    coproc RACER { exec "$PROBE" exchange "$R/race" a b 2>&1 3>&-; }
    pid=$RACER_PID
    exec {out}<&"${RACER[0]}" # bash forgets its own when the process ends
    read -r -u "$out"
    until=$((SECONDS + seconds))
    while [ "$SECONDS" -lt "$until" ] || [ "$n" -lt 10 ]; do
        "$@" || break
        n=$((n + 1))
    done
    kill "$pid"
    read -r -u "$out" REPLY || :
    exec {out}<&-
    wait "$pid" || :
    [[ "$REPLY" == 'exchanged '[1-9]* ]]
    [ "$n" -ge 10 ]
}

@test "A9: a component of a destination is exchanged for a link while mounts are made" {
    local s=10
    [ -z "${FULL-}" ] || s=200
    mkdir -p "$R/race/a"
    ln -s "$H" "$R/race/b"
    # Directories and files are made, devices, the console's place, and the working directory.
    for i in $(seq 20); do
        bundle_mount "/race/a/new$i/deep" tmpfs tmpfs
        bundle_mount "/race/a/file$i" none "$T/canaries" bind
    done
    config '.linux.devices = [{ path: "/race/a/dev", type: "p", uid: 5 }, { path: "/race/a/x/dev", type: "c", major: 1, minor: 3, uid: 5 }]
        | .linux.maskedPaths += ["/race/a/file", "/race/a/dir"] | .linux.readonlyPaths += ["/race/a/empty"] | .process.cwd = "/race/a/cwd"'
    race "$s" raced
}

raced() {
    attempt 'cat /race/a/dir/sub/file /race/b/file 2>/dev/null; echo finished' && canaries | cmp -s "$T/canaries"
}

@test "A9: /dev is exchanged for a link to the host while devices are made" {
    local s=5
    [ -z "${FULL-}" ] || s=100
    bare_dev
    rm -rf "${R:?}/dev"
    mkdir -p "$R/race/a"
    ln -s "$H" "$R/race/b"
    ln -s race/a "${R:?}/dev"
    race "$s" raced
}

# ------------------------------------------------------------------------------------------------------------ what the image holds

@test "A26: FIFOs, sockets, devices and directories in place of every file that is opened block nothing" {
    local f kind
    bare_dev
    for kind in fifo socket device dir loop; do
        for f in etc/passwd etc/group dev/null dev/console dev/ptmx dev/pts dev/tty dev/fd; do
            rm -rf "${R:?}/$f"
            case $kind in
            fifo) mkfifo "$R/$f" ;;
            socket) python3 -c 'import os, socket, sys; os.chdir(os.path.dirname(sys.argv[1])); socket.socket(socket.AF_UNIX).bind(os.path.basename(sys.argv[1]))' "$R/$f" ;;
            device) mknod "$R/$f" c 10 130 ;; # a watchdog, which bites when it was opened and closed
            dir) mkdir "$R/$f" ;;
            loop) ln -s "$(basename "$f")" "$R/$f" ;;
            esac
        done
        args /probe echo finished
        run_container
        [ "$status" = 0 ] || { echo "$kind: $status $output"; return 1; }
        with_terminal
        [ "$status" = 0 ] || { echo "$kind: $status $output"; return 1; }
        config '.process.terminal = false'
    done
}

@test "A26: an exec by name looks only at a regular /etc/passwd" {
    local kind
    args sleep 100
    detached run --detach --bundle "$BUNDLE" "$TOKEN"
    rm "$R/etc/passwd"
    for kind in 'mkfifo' 'mkdir' 'ln -s /proc/kmsg' 'ln -s /dev/tty' "ln -s $H/file"; do
        rm -rf "$R/etc/passwd"
        $kind "$R/etc/passwd"
        run drupe exec --user user "$TOKEN" /bin/true
        [ "$status" = 255 ]
        [[ "$output" == *'/etc/passwd'* ]]
    done
    drupe delete --force "$TOKEN"
}

@test "hard links to host files: nothing that is set up is written through them" {
    bare_dev
    for f in dev/null dev/zero dev/console dev/tty etc/mount etc/device; do ln -f "$H/file" "$R/$f"; done
    canaries >"$T/canaries" # the count of links has changed
    bundle_mount /etc/mount none "$R/etc/passwd" bind
    config '.linux.devices = [{ path: "/etc/device", type: "c", major: 1, minor: 3, uid: 5 }]'
    refused 'linux.devices[0] (/etc/device)'
    config 'del(.linux.devices)'
    args sh -c 'head -c 4 /etc/mount; echo; echo finished'
    run_container
    [ "$output" = $'root\nfinished' ]
    with_terminal
    [ "$status" = 0 ]
    canaries | diff "$T/canaries" -
    rm -f "$R"/dev/{null,zero,console,tty} "$R"/etc/{mount,device}
    canaries >"$T/canaries"
}
