#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the shells inside
# Real root file systems with the configuration that Docker would send: Debian as debootstrap makes it, and busybox. Package
# management, interpreters, terminals, signals, users; and what its seccomp profile denies, compared with runc.
load helpers
load inside

setup_file() {
    # Made once, in a minute or two; the tests say themselves why when there is none.
    [ -n "${TEST_CACHE-}" ] || TEST_CACHE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/build/cache
    [ "${DRUPE_LANE-}" = nested ] || "$BATS_TEST_DIRNAME/../../tools/debian" "$TEST_CACHE/debian-bookworm" >"$BATS_FILE_TMPDIR/debian" 2>&1 3>&- || true
}

setup() {
    begin_test
    setup_bundle
    docker_like
    ID=$(container_id)
}

debian() { debian_rootfs; }

# run_script SHELL TEXT [ARG]...: the text as a program of the container.
run_script() {
    args "$1" -c "$2" "${@:3}"
    run_container
}

mount_dir() { config --arg s "$1" --arg d "$2" --arg o "${3:-rw}" '.mounts += [{ destination: $d, type: "bind", source: $s, options: ["rbind", $o] }]'; }

no_new_privileges() { config '.process.noNewPrivileges = true'; }

both() {
    local check=$1
    "$check" /bin/sh
    debian
    "$check" /bin/bash
}

# ------------------------------------------------------------------------------------------------------------------------ packages

@test "debian: apt and dpkg know what is installed" {
    debian
    run_script /bin/sh 'apt-get --version | head -n 1; dpkg -l | grep -c ^ii; dpkg --audit && dpkg -s bash | grep ^Status; cat /etc/debian_version'
    [ "$status" = 0 ]
    [[ "${lines[0]}" == 'apt 2.'* ]]
    [ "${lines[1]}" -gt 50 ]
    [ "${lines[2]}" = 'Status: install ok installed' ]
    [[ "${lines[3]}" == 12.* ]]
}

@test "debian: a package is built, apt-get update reads a repository, apt-get install and remove run its scripts" {
    debian
    mkdir "$BATS_TEST_TMPDIR/repo"
    mount_dir "$BATS_TEST_TMPDIR/repo" /repo
    run_script /bin/sh 'set -e
        mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin
        printf "#!/bin/sh\necho hello from \$0\n" >/tmp/p/usr/bin/tiny-hello
        chmod 755 /tmp/p/usr/bin/tiny-hello
        printf "Package: tiny\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: tiny\n" >/tmp/p/DEBIAN/control
        printf "#!/bin/sh\nid tiny-user >/dev/null 2>&1 || adduser --system --group --no-create-home tiny-user >/dev/null\nls -l /proc/1/exe >/dev/null\n" >/tmp/p/DEBIAN/postinst
        printf "#!/bin/sh\necho removed >/repo/removed\n" >/tmp/p/DEBIAN/postrm
        chmod 755 /tmp/p/DEBIAN/post*
        dpkg-deb --root-owner-group -b /tmp/p /repo/tiny_1.0_all.deb >/dev/null
        cd /repo
        { dpkg-deb -f tiny_1.0_all.deb; echo "Filename: ./tiny_1.0_all.deb"; echo "Size: $(stat -c %s tiny_1.0_all.deb)"
          echo "SHA256: $(sha256sum tiny_1.0_all.deb | cut -d" " -f1)"; } >Packages'
    [ "$status" = 0 ] || { echo "$output" && false; }

    run_script /bin/sh 'set -e
        export DEBIAN_FRONTEND=noninteractive
        echo "deb [trusted=yes] file:/repo ./" >/etc/apt/sources.list
        rm -f /etc/apt/sources.list.d/*
        apt-get -q update
        apt-get -q install -y tiny
        tiny-hello
        id tiny-user
        dpkg -V tiny && echo verified
        apt-get -q purge -y tiny
        [ ! -e /usr/bin/tiny-hello ]'
    echo "$output"
    [ "$status" = 0 ]
    [[ "$output" == *'Setting up tiny (1.0)'*'hello from /'*'bin/tiny-hello'*'(tiny-user)'*verified*'Removing tiny (1.0)'* ]]
    [[ "$output" != *'W: '* && "$output" != *'E: '* ]]
    [ "$(cat "$BATS_TEST_TMPDIR/repo/removed")" = removed ]
}

@test "debian: apt-get update reads a large repository of files, and apt-cache finds what is in it" {
    debian
    mkdir "$BATS_TEST_TMPDIR/repo"
    for i in $(seq 2000); do
        printf 'Package: tiny%d\nVersion: 1.%d\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nFilename: ./%d.deb\nSize: 1\nSHA256: %064d\nDescription: tiny\n\n' \
            "$i" "$i" "$i" "$i"
    done >"$BATS_TEST_TMPDIR/repo/Packages"
    mount_dir "$BATS_TEST_TMPDIR/repo" /repo ro
    run_script /bin/sh 'set -e
        echo "deb [trusted=yes] file:/repo ./" >/etc/apt/sources.list
        rm -f /etc/apt/sources.list.d/*
        apt-get -q update >/dev/null
        apt-cache show tiny1999 | grep ^Version; apt-cache pkgnames tiny | wc -l'
    echo "$output"
    [ "$status" = 0 ]
    [ "$output" = $'Version: 1.1999\n2000' ]
}

# -------------------------------------------------------------------------------------------------------------------- interpreters

@test "debian: python3 forks, has threads, sockets on the loopback device, signals and shared memory" {
    debian
    mkdir "$BATS_TEST_TMPDIR/src"
    cat >"$BATS_TEST_TMPDIR/src/all.py" <<'END'
import os, select, signal, socket, threading, time

pid = os.fork()
if pid == 0:
    os._exit(5)
print("fork", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

total, lock = [0], threading.Lock()
def work():
    for _ in range(1000):
        with lock:
            total[0] += 1
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
print("threads", total[0])

for family, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "localhost"):
    server = socket.create_server((host, 0), family=family)
    def serve():
        peer, _ = server.accept()
        peer.sendall(peer.recv(100).upper())
        peer.close()
    t = threading.Thread(target=serve)
    t.start()
    client = socket.create_connection(server.getsockname()[:2])
    client.sendall(b"over the loopback")
    print("tcp", host, client.recv(100).decode())
    t.join()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 80))  # a low port: Docker lets everybody
print("udp", udp.getsockname()[1])
ping = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
print("ping socket", ping.fileno() > 0)
a, b = socket.socketpair()
a.send(b"x")
print("socketpair", select.select([b], [], [], 1)[0] == [b])

got = []
signal.signal(signal.SIGUSR1, lambda s, f: got.append(s))
os.kill(os.getpid(), signal.SIGUSR1)
signal.signal(signal.SIGALRM, lambda s, f: got.append(s))
signal.setitimer(signal.ITIMER_REAL, 0.05)
deadline = time.monotonic() + 60
while len(got) < 2 and time.monotonic() < deadline:
    time.sleep(0.01)
print("signals", got == [signal.SIGUSR1, signal.SIGALRM])

open("/dev/shm/x", "w").write("y" * 100000)
print("shm", os.stat("/dev/shm/x").st_size)
print("random", len(os.urandom(16)), len(open("/dev/urandom", "rb").read(16)))
print("cpus", len(os.sched_getaffinity(0)) > 0, os.cpu_count() > 0)
print("pid", os.getpid(), "user", os.getuid())
END
    mount_dir "$BATS_TEST_TMPDIR/src" /src ro
    args /usr/bin/python3 /src/all.py
    run_container
    echo "$output"
    [ "$status" = 0 ]
    [ "$output" = "$(printf '%s\n' 'fork 5' 'threads 8000' 'tcp 127.0.0.1 OVER THE LOOPBACK' 'tcp localhost OVER THE LOOPBACK' 'udp 80' \
        'ping socket True' 'socketpair True' 'signals True' 'shm 100000' 'random 16 16' 'cpus True True' 'pid 1 user 0')" ]
}

@test "debian: gcc makes a program of two sources and a library, which runs" {
    debian
    [ -x "$BUNDLE/rootfs/usr/bin/gcc" ] || skip "no gcc in this Debian"
    run_script /bin/sh 'set -e
        cd /tmp
        printf "int twice(int n) { return 2 * n; }\n" >twice.c
        printf "#include <stdio.h>\n#include <math.h>\nint twice(int n);\nint main(int n, char **v) { printf(\"%%d %%.3f\\\\n\", twice(n), sqrt(n)); return !v; }\n" >main.c
        gcc -O2 -Wall -Werror -c twice.c && ar rc libtwice.a twice.o
        gcc -O2 -Wall -Werror -o main main.c -L. -ltwice -lm
        ./main one two'
    echo "$output"
    [ "$status" = 0 ]
    [ "$output" = '6 1.732' ]
}

@test "debian: perl runs programs, pipes and signal handlers" {
    debian
    args /usr/bin/perl -e 'use POSIX; use Socket; $| = 1;
        open(my $p, "-|", "echo", "from a pipe"); print <$p>; close $p;
        $SIG{USR1} = sub { print "caught\n" }; kill USR1 => $$;
        socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, 0); syswrite $a, "pair\n"; sysread $b, my $x, 10; print $x;
        my $c = fork // die; if (!$c) { POSIX::_exit(9) } waitpid $c, 0; print "status ", $? >> 8, "\n";
        exit 3'
    run_container
    [ "$status" = 3 ]
    [ "$output" = $'from a pipe\ncaught\npair\nstatus 9' ]
}

# ---------------------------------------------------------------------------------------------------------------- ends and signals

# The container as a job, until it says that it is waiting; and not that of the job before, which may be slow to open the file.
start_job() {
    : >"$BATS_TEST_TMPDIR/out"
    "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID" >>"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
    JOB=$!
    wait_for 10 grep -qs waiting "$BATS_TEST_TMPDIR/out"
}

end_job() {
    status=0
    wait "$JOB" || status=$?
}

exit_statuses() {
    local n
    for n in 0 1 3 127 255; do
        run_script "$1" "exit $n"
        [ "$status" = "$n" ]
    done
    run_script "$1" 'kill -KILL $$; exit 5' # the first process of a pid namespace is immune against itself
    [ "$status" = 5 ]
    run_script "$1" '"$0" -c "kill -TERM \$\$"; exit $?' "$1"
    [ "$status" = 143 ]
    # and the first itself, from outside
    args "$1" -c 'echo waiting; while :; do sleep 0.05; done'
    start_job
    drupe kill "$ID" KILL
    end_job
    [ "$status" = 137 ]
}

@test "debian and busybox: the exit status is the program's, 128 and the number for a signal" { both exit_statuses; }

trap_and_end() {
    args "$1" -c 'trap "echo ended; exit 42" TERM; echo waiting; while :; do sleep 0.05; done'
    start_job
    kill -TERM "$JOB"
    end_job
    [ "$status" = 42 ]
    [ "$(cat "$BATS_TEST_TMPDIR/out")" = $'waiting\nended' ]

    detached run --detach --bundle "$BUNDLE" "$ID"
    wait_for 10 grep -q waiting "$BATS_TEST_TMPDIR/out"
    drupe kill "$ID" TERM
    wait_for 10 grep -q ended "$BATS_TEST_TMPDIR/out"
    drupe delete --force "$ID"
}

@test "debian and busybox: a trap for TERM decides the exit status" { both trap_and_end; }

@test "debian: a missing program is an error at create, with the words that callers look for" {
    debian
    args no-such-program
    run_container
    [ "$status" = 1 ]
    [[ "$output" == *'exec: "no-such-program": executable file not found in $PATH'* ]]
    args /etc/passwd
    run_container
    [[ "$output" == *'permission denied'* || "$output" == *'Permission denied'* ]]
}

# ---------------------------------------------------------------------------------------------------------------------- terminals

shell_on_terminal() {
    config '.process.terminal = true'
    args "$1" -i
    terminal 30x90 'send=stty size\n' 'expect=30 90' 'size=40x120' 'send=echo $((6 * 7)); stty size\n' 'expect=42' 'expect=40 120' \
        'send=tty; test -t 0 && echo is a terminal\n' 'expect=/dev/pts/0' 'expect=is a terminal' 'send=exit 7\n' -- \
        "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID"
    echo "$output"
    [[ "$output" == *'status 7'*'restored yes'* ]]
    [[ "$output" != *'job control'* ]]
}

@test "debian and busybox: a shell on a terminal is told of a new size" { both shell_on_terminal; }

@test "debian: ctrl-c ends the foreground job of the shell, not the shell; jobs can be stopped and go on" {
    debian
    config '.process.terminal = true'
    args /bin/bash --norc -i
    terminal 24x80 'send=PS1=rea"dy> "\n' 'expect=ready> ' 'send=sh -c "echo star\"\"ted; exec sleep 1000" || echo ended: $?\n' 'expect=started' \
        'send=\x03' 'expect=ready> ' 'send=echo still he""re; sleep 1000 & jobs; kill %1; wait; echo wai""ted\n' 'expect=still here' 'expect=Running' \
        'expect=waited' 'send=exit 4\n' -- "$RUNTIME" --root "$ROOT" run --bundle "$BUNDLE" "$ID"
    echo "$output"
    [[ "$output" == *'status 4'* ]]
}

# --------------------------------------------------------------------------------------------------------------- users, privileges

@test "debian: adduser makes a user, and su becomes that user" {
    debian
    run_script /bin/bash 'adduser --quiet --disabled-password --gecos "" someone && su someone -c "id -un; echo \$HOME; touch ~/x && stat -c %U ~/x; cat /etc/shadow"; echo status $?'
    echo "$output"
    [ "$(head -n 3 <<<"$output")" = $'someone\n/home/someone\nsomeone' ]
    [[ "$output" == *'/etc/shadow: Permission denied'*'status 1' ]]
}

@test "debian: a setuid program gives its user's rights, and with noNewPrivileges it does not" {
    debian
    # A copy of id that belongs to root and is setuid, run by nobody.
    config '.process.user = { uid: 65534, gid: 65534 }'
    cp "$BUNDLE/rootfs/usr/bin/id" "$BUNDLE/rootfs/usr/bin/root-id"
    chown 0:0 "$BUNDLE/rootfs/usr/bin/root-id"
    chmod 4755 "$BUNDLE/rootfs/usr/bin/root-id"
    run_script /bin/sh '/usr/bin/root-id -u; /usr/bin/root-id -ur; grep NoNewPrivs /proc/self/status | tr "\t" " "'
    [ "$output" = $'0\n65534\nNoNewPrivs: 0' ]
    no_new_privileges
    run_script /bin/sh '/usr/bin/root-id -u; /usr/bin/root-id -ur; grep NoNewPrivs /proc/self/status | tr "\t" " "'
    [ "$output" = $'65534\n65534\nNoNewPrivs: 1' ]
}

@test "debian: su works as a user may use it, passwd changes a password; with noNewPrivileges neither gets root's rights" {
    debian
    printf 'user:x:1000:1000::/tmp:/bin/sh\n' >>"$BUNDLE/rootfs/etc/passwd"
    printf 'user:x:1000:\n' >>"$BUNDLE/rootfs/etc/group"
    printf 'user:*:19000:0:99999:7:::\n' >>"$BUNDLE/rootfs/etc/shadow"
    run_script /bin/sh 'echo root:secret | chpasswd && su user -c "echo secret | su root -c id" 2>&1 && echo user:other | chpasswd && echo changed'
    echo "$output"
    [[ "$output" == *'uid=0(root) gid=0(root)'*changed* ]]
    no_new_privileges
    run_script /bin/sh 'echo root:secret | chpasswd && su user -c "echo secret | su root -c id" 2>&1'
    [ "$status" != 0 ]
    [[ "$output" != *'uid=0(root)'* ]]
}

@test "debian: root of the container has Docker's capabilities, and a user has none" {
    debian
    run_script /bin/sh 'grep ^Cap /proc/self/status | tr -d "\t"; chown 1:1 /tmp && mknod /tmp/n c 1 3 && echo made; cat /tmp/n; mount -t tmpfs x /mnt'
    [ "$(head -n 5 <<<"$output")" = "$(printf '%s\n' CapInh:0000000000000000 CapPrm:00000000a80425fb CapEff:00000000a80425fb CapBnd:00000000a80425fb CapAmb:0000000000000000)" ]
    [[ "$output" == *made*'permission denied'* ]]
    config '.process.user = { uid: 1000, gid: 1000 }'
    run_script /bin/sh 'grep ^CapEff /proc/self/status | tr -d "\t"; id -u'
    [ "$output" = $'CapEff:0000000000000000\n1000' ]
}

# ----------------------------------------------------------------------------------------------------------------- /proc, /sys, /dev

surroundings() {
    run_script "$1" 'hostname; cat /etc/hostname | cut -c 1-12; ls -d /proc/[0-9]* | wc -l
        for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts; do [ ! -e $f ] || echo "$f $(cat $f 2>&1 | wc -c)"; done
        ls /proc/acpi /sys/firmware /proc/scsi 2>/dev/null | grep -v : | grep -c .
        for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/uevent_helper /proc/irq/default_smp_affinity; do
            [ ! -e $f ] || { echo x >$f; } 2>/dev/null && [ -e $f ] && echo "$f written"; done
        readlink /dev/fd; readlink /dev/stdin; readlink /dev/ptmx
        for d in null zero full random urandom tty; do [ -c /dev/$d ] || echo "no /dev/$d"; done
        echo x >/dev/null && head -c 3 /dev/zero | wc -c
        ls -d /dev/sd* /dev/vd* /dev/mem /dev/kmsg /dev/kvm 2>/dev/null | wc -l
        df /dev/shm | tail -n 1 | tr -s " " | cut -d" " -f2
        head -n 1 /etc/hosts; ls /sys/class/net | tr "\n" " "; cat /sys/class/net/lo/operstate; ulimit -n'
    echo "$output"
    [ "${lines[0]}" = "${TOKEN:0:12}" ]
    [ "${lines[1]}" = "${TOKEN:0:12}" ]
    [ "${lines[2]}" -le 5 ]
    [[ "$output" != *written* && "$output" != *'no /dev/'* ]]
    ! grep -E '^/proc/[a-z_]+ [1-9]' <<<"$output"
    [[ "$output" == *$'\n0\n/proc/self/fd\n/proc/self/fd/0\npts/ptmx\n3\n0\n65536\n127.0.0.1 localhost\nlo unknown\n1024' ]]
}

@test "debian and busybox: host name, /proc, /sys and /dev are the container's, masked and read-only where the config says" {
    both surroundings
}

@test "debian: with a read-only root, /tmp as tmpfs and a volume only these can be written" {
    debian
    mkdir "$BATS_TEST_TMPDIR/volume"
    mount_dir "$BATS_TEST_TMPDIR/volume" /srv
    config '.root.readonly = true | .mounts += [{ destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "noexec", "size=1m"] }]'
    run_script /bin/bash 'for d in / /etc /usr/bin /var /srv /tmp /dev/shm /root; do touch $d/x 2>/dev/null && echo $d; done
        cp /bin/true /tmp/t && /tmp/t; echo $?; dd if=/dev/zero of=/tmp/big bs=1M count=2 2>&1 | grep -o "No space left"'
    echo "$output"
    [ "$(head -n 3 <<<"$output")" = $'/srv\n/tmp\n/dev/shm' ]
    [[ "$output" == *$'\n126\nNo space left'* ]]
    [ -e "$BATS_TEST_TMPDIR/volume/x" ]
}

@test "debian: exec into it: a second shell, with the user, directory and variables asked for" {
    debian
    up
    inside /bin/bash -c 'ps=$(ls -d /proc/[0-9]*); echo $$; readlink /proc/1/exe; cat /etc/debian_version'
    [ "$status" = 0 ]
    [[ "${lines[0]}" -gt 1 && "${lines[1]}" == /probe && "${lines[2]}" == 12.* ]]
    inside --user 1000:1000 --cwd=/usr --env A=b /bin/bash -c 'echo $(id -u) $(id -g) $PWD $A; exit 9'
    [ "$status" = 9 ]
    [ "$output" = '1000 1000 /usr b' ]
    inside no-such-program
    [ "$status" = 255 ]
    down
}

# ------------------------------------------------------------------------------------------------------------------------- seccomp

# System calls by number (x86-64), with arguments that do no harm where they are allowed.
CALLS='acct 163;add_key 248 0;bpf 321 0 0 0;clock_settime 227 0 0;create_module 174;delete_module 176 @none 0;finit_module 313 -1;
get_mempolicy 239 0 0 0 0 0;init_module 175 0 0;ioperm 173 0 1 1;iopl 172 3;kcmp 312 1 1 0 0 0;kexec_load 246 0 0 0 0;
kexec_file_load 320 -1 -1 0 0 0;lookup_dcookie 212 0 0 0;mbind 237 0 0 0 0 0;mount 165 @x @/none @tmpfs 0 0;move_mount 429 -1 @x -1 @y 0;
name_to_handle_at 303 -100 @/ 0 0 0;nfsservctl 180;open_by_handle_at 304 -1 0 0;perf_event_open 298 0 0 -1 -1 0;personality 135 0x1000000;
pivot_root 155 @/ @/;process_vm_readv 310 1 0 0 0 0 0;ptrace 101 0;quotactl 179 0 0 0 0;reboot 169 0 0 0 0;request_key 249 0 0 0 0;
set_mempolicy 238 0 0 0;setns 308 -1 0;settimeofday 164 0 0;swapon 167 @none 0;swapoff 168 @none;sysfs 139 3;umount2 166 @/none 0;
uselib 134 @none;userfaultfd 323 0;ustat 136 0 0;clone3 435 0 0;fsopen 430 @none 0;fsmount 432 -1 0 0;
io_uring_setup 425 0 0;process_madvise 440 -1 0 0 0 0;socket-vsock 41 40 1 0;socket-audit 41 16 3 9;vhangup 153 -1;getpid 39;uname 63 0;
no-such-call 600;personality-0 135 0xffffffff;vmsplice 278 -1 0 0 0;fanotify_init 300 0 0;syslog 103 3 0 0;chroot 161 @/none;'

# What the profile in the config says of a system call: ALLOW, the name of an error, or nothing where that depends on arguments.
verdict() {
    jq -r --arg name "$1" '.linux.seccomp as $s | [$s.syscalls[] | select(.names | index($name))] as $rules
        | if ($rules | length) == 0 then {action: $s.defaultAction, errnoRet: $s.defaultErrnoRet}
          elif any($rules[]; .args) then {} else $rules[0] end
        | if .action == "SCMP_ACT_ERRNO" then ({"1": "EPERM", "38": "ENOSYS"}[(.errnoRet // 1) | tostring]) elif .action then "ALLOW" else "" end' \
        "$BUNDLE/config.json"
}

syscalls() {
    local name number rest
    local words=()
    while read -r -d ';' name number rest; do
        words+=(echo "$name" ',' syscall "$number")
        # shellcheck disable=SC2206 # words
        words+=($rest ',')
    done <<<"${CALLS//$'\n'/}"
    args /probe "${words[@]}" echo end
}

@test "seccomp: what the profile denies is the error it says, of a call it does not know too, and the rest works" {
    local name number rest expected denied=0
    syscalls
    run_container
    echo "$output"
    [ "$status" = 0 ]
    while read -r -d ';' name number rest; do
        expected=$(verdict "${name%%-*}")
        case $expected in
        E*)
            [ "$(grep -A 1 "^$name\$" <<<"$output" | tail -n 1)" = "result error $expected" ] || { echo "$name is not $expected" && false; }
            denied=$((denied + 1))
            ;;
        esac
    done <<<"${CALLS//$'\n'/}"
    [ "$denied" -ge 20 ]
    [ "$(verdict bpf) $(verdict kexec_load) $(verdict getpid)" = 'EPERM EPERM ALLOW' ]
    grep -A 1 '^getpid$' <<<"$output" | grep -q '^result 1$'
    grep -A 1 '^no-such-call$' <<<"$output" | grep -q '^result error ENOSYS$'
}

@test "seccomp: without CAP_SYS_ADMIN no new namespaces, mounts and modules, whatever the profile leaves to the kernel" {
    args /probe syscall 165 @x @/tmp @tmpfs 0 0 , syscall 272 0x20000 , syscall 272 0x40000000 , syscall 155 @/ @/ , syscall 175 0 0
    run_container
    [ "$status" = 0 ]
    [ "${#lines[@]}" = 5 ]
    [ "$(sort -u <<<"$output")" = 'result error EPERM' ]
}

@test "seccomp: every answer is the same as under runc" {
    local ours
    command -v runc >/dev/null || skip "runc is not installed"
    syscalls
    run_container
    [ "$status" = 0 ]
    ours=$output
    run timeout 30 runc --root "$BATS_TEST_TMPDIR/runc" run --bundle "$BUNDLE" "$(container_id runc)"
    [ "$status" = 0 ] || skip "runc does not run here: $output"
    diff <(echo "$ours") <(echo "$output")
}

@test "seccomp: programs of 32 bits and of the x32 ABI are filtered as well" {
    [ "$(verdict bpf)" = EPERM ] || skip "the profile says nothing of bpf"
    # bpf is 357 to 32-bit programs and getpid 20; x32 has bit 30 set
    args /probe syscall32 20 , syscall32 357 0 0 0 , syscall 0x40000141 0 0 0
    run_container
    [ "$status" = 0 ]
    [ "${lines[0]}" = 'result 1' ] || skip "this kernel runs no 32-bit programs"
    [ "${lines[1]}" = 'result error EPERM' ]
    [[ "${lines[2]}" == 'result error E'* ]]
}
