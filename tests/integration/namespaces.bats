#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell and for jq
# Namespaces created, shared and joined; user namespaces and their maps; names, sysctls, clocks and network devices in them.
load helpers

setup() {
    begin_test
    HOLDERS=()
    setup_bundle
    args /probe ns
}

teardown() {
    local pid
    [ -n "$BATS_TEST_COMPLETED" ] || echo "last status ${status-}, output: ${output-}"
    for pid in "${HOLDERS[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    end_test
}

# hold UNSHARE-OPTION...: $HELD is a process in such namespaces, until the end of the test.
hold() {
    local parent
    unshare --kill-child --fork "$@" sleep 1000 </dev/null >/dev/null 2>&1 3>&- &
    parent=$!
    HOLDERS+=("$parent")
    wait_for 10 child_sleeps "$parent"
    HELD=$(cat "/proc/$parent/task/$parent/children")
    HELD=${HELD% }
}

child_sleeps() {
    local child
    child=$(cat "/proc/$1/task/$1/children")
    [ -n "$child" ] && [ "$(cat "/proc/${child% }/comm")" = sleep ]
}

host_ns() { readlink "/proc/self/ns/$1"; }

# inside_ns NAME: what the container's probe said in $output.
inside_ns() { sed -n "s/^$1 \(.*:\[\)/\1/p" <<<"$output"; }

# proc_name TYPE: of the config, as /proc has it.
proc_name() {
    case $1 in
    network) echo net ;;
    mount) echo mnt ;;
    *) echo "$1" ;;
    esac
}

# only TYPE...: the container has these new namespaces, and only mounts that work with any.
only() {
    config '.linux.namespaces = ($ARGS.positional | map({ type: . })) | del(.hostname, .linux.maskedPaths, .linux.readonlyPaths)
        | .mounts = [{ destination: "/proc", type: "proc", source: "proc" }, { destination: "/dev", type: "tmpfs", source: "tmpfs" }]' --args "$@"
}

# join TYPE PATH: instead of a new one.
join() {
    config --arg type "$1" --arg path "$2" '.linux.namespaces |= map(select(.type != $type)) + [{ type: $type, path: $path }]'
}

# own_user [MAPPING]: a new user namespace; a mapping is CONTAINER:HOST:SIZE.
own_user() {
    config '.linux.namespaces += [{ type: "user" }]'
    map_ids "$@"
}

map_ids() {
    config '.linux.uidMappings = ($ARGS.positional | map(split(":") | map(tonumber) | { containerID: .[0], hostID: .[1], size: .[2] }))
        | .linux.gidMappings = .linux.uidMappings' --args "$@"
}

# refused TEXT: create fails with a message that holds TEXT, and nothing is left of it; not even a blocked process.
refused() {
    run drupe create --bundle "$BUNDLE" "$(container_id)"
    [ "$status" = 1 ]
    [[ "$output" == *"$1"* ]] || { echo "instead: $output" && return 1; }
    [ ! -e "$ROOT/$(container_id)" ]
}

# ------------------------------------------------------------------------------------------------------- created, shared, joined

@test "every namespace that is listed is new, and every other one is the runtime's" {
    local type other
    for type in pid network ipc uts cgroup time; do
        [ -e "/proc/self/ns/$(proc_name "$type")" ] || continue
        only mount "$type"
        run_container
        [ "$status" = 0 ]
        for other in pid network ipc uts cgroup time mount user; do
            [ -e "/proc/self/ns/$(proc_name "$other")" ] || continue
            [ -n "$(inside_ns "$(proc_name "$other")")" ]
            if [ "$other" = "$type" ] || [ "$other" = mount ]; then
                [ "$(inside_ns "$(proc_name "$other")")" != "$(host_ns "$(proc_name "$other")")" ]
            else
                [ "$(inside_ns "$(proc_name "$other")")" = "$(host_ns "$(proc_name "$other")")" ]
            fi
        done
    done
}

@test "all eight kinds at once" {
    [ -e /proc/self/ns/time ] || skip "no time namespaces"
    own_user 0:100000:65536
    config '.linux.namespaces += [{ type: "time" }]'
    run_container
    [ "$status" = 0 ]
    for name in pid net ipc uts cgroup time mnt user; do [ "$(inside_ns $name)" != "$(host_ns $name)" ]; done
}

@test "every kind of namespace can be joined by path" {
    local type name option
    for type in pid network ipc uts cgroup time; do
        name=$(proc_name "$type")
        option=--$name
        [ -e "/proc/self/ns/$name" ] || continue
        hold "$option"
        only mount
        join "$type" "/proc/$HELD/ns/$name"
        run_container
        [ "$status" = 0 ]
        [ "$(inside_ns "$name")" = "$(readlink "/proc/$HELD/ns/$name")" ]
        [ "$(inside_ns "$name")" != "$(host_ns "$name")" ]
    done
}

@test "a namespace can be joined by a bind mount of it, after its processes are gone" {
    touch "$BATS_TEST_TMPDIR/netns"
    unshare --net="$BATS_TEST_TMPDIR/netns" true
    UNMOUNT+=("$BATS_TEST_TMPDIR/netns")
    join network "$BATS_TEST_TMPDIR/netns"
    run_container
    [ "$status" = 0 ]
    [ "$(inside_ns net)" = "net:[$(stat -c %i "$BATS_TEST_TMPDIR/netns")]" ]
}

@test "an empty path is no path" {
    join network ''
    run_container
    [ "$status" = 0 ]
    [ "$(inside_ns net)" != "$(host_ns net)" ]
}

@test "the runtime's own namespaces may be joined by path, except the user namespace" {
    only mount
    for type in network ipc uts pid cgroup; do join "$type" "/proc/self/ns/$(proc_name "$type")"; done
    run_container
    [ "$status" = 0 ]
    [ "$(inside_ns net)" = "$(host_ns net)" ]
    join user /proc/self/ns/user
    refused "is the runtime's own user namespace"
}

@test "a joined pid namespace shows its processes, and the container's end is not theirs" {
    hold --pid --mount-proc
    join pid "/proc/$HELD/ns/pid"
    args /bin/sh -c 'cat /proc/1/comm; echo $$; sleep 1000 &'
    run_container
    [ "$status" = 0 ]
    [ "${lines[0]}" = sleep ]
    [ "${lines[1]}" -gt 1 ]
    kill -0 "$HELD"
    # The process left in the background was the container's: it has ended with it.
    run ! grep -l 1000 "/proc/$HELD/root/proc/"[2-9]*/cmdline
}

@test "a joined mount namespace: the root is entered there, and nothing is mounted" {
    hold --mount
    nsenter -t "$HELD" -m mount -t tmpfs none "$BUNDLE/rootfs/tmp"
    nsenter -t "$HELD" -m mount -t proc none "$BUNDLE/rootfs/proc"
    nsenter -t "$HELD" -m touch "$BUNDLE/rootfs/tmp/there"
    only mount
    config '.mounts = []'
    join mount "/proc/$HELD/ns/mnt"
    args /probe ns , stat /tmp/there
    run_container
    [ "$status" = 0 ]
    [ "$(inside_ns mnt)" = "$(readlink "/proc/$HELD/ns/mnt")" ]
    [[ "$output" == *"/tmp/there type -"* ]]
}

@test "as in a pod: net, ipc and uts of the sandbox, own pid and mount namespaces; exec finds all of them" {
    hold --net --ipc --uts
    nsenter -t "$HELD" -u hostname sandbox
    nsenter -t "$HELD" -n ip link set lo up
    nsenter -t "$HELD" -i ipcmk -Q >/dev/null
    config 'del(.hostname)'
    for type in network ipc uts; do join "$type" "/proc/$HELD/ns/$(proc_name "$type")"; done
    args /bin/sleep 1000
    detached run -d --bundle "$BUNDLE" "$(container_id)"
    run -0 drupe exec "$(container_id)" /probe ns , host , read /proc/sysvipc/msg , read /proc/1/comm , connect 127.0.0.1 9
    for name in net ipc uts; do [ "$(inside_ns $name)" = "$(readlink "/proc/$HELD/ns/$name")" ]; done
    for name in pid mnt cgroup; do [ "$(inside_ns $name)" != "$(host_ns $name)" ]; done
    [[ "$output" == *$'hostname sandbox\n'* ]]
    [[ "$output" == *$'\nsleep\nconnect error ECONNREFUSED'* ]]
    [ "$(grep -c '^ *-\{0,1\}[0-9]' <<<"$output")" = 1 ]
    run -0 drupe delete --force "$(container_id)"
}

@test "as in a pod with a user namespace: its path and the same mappings, with net, ipc and uts that belong to it" {
    hold_user_pod
    for type in user network ipc uts; do join "$type" "/proc/$HELD/ns/$(proc_name "$type")"; done
    config 'del(.hostname)'
    map_ids 0:100000:65536
    chown -hR 100000:100000 "$BUNDLE/rootfs"
    args /bin/sh -c '/probe ns , ids , host , stat /sys/kernel , stat /proc/1 , stat /dev/null , stat /bin; cat /proc/self/uid_map; sleep 1000'
    detached run -d --bundle "$BUNDLE" "$(container_id)"
    wait_for 5 grep -q 65536 "$BATS_TEST_TMPDIR/out"
    output=$(cat "$BATS_TEST_TMPDIR/out")
    for name in user net ipc uts; do [ "$(inside_ns $name)" = "$(readlink "/proc/$HELD/ns/$name")" ]; done
    for name in pid mnt cgroup; do [ "$(inside_ns $name)" != "$(host_ns $name)" ]; done
    [[ "$output" == *$'uid 0 0 0\ngid 0 0 0\n'* && "$output" == *"hostname pod"* ]]
    [[ "$output" == *"/sys/kernel type d"* && "$output" == *"/proc/1 type d mode 0555 uid 0 gid 0"* ]]
    [[ "$output" == *"/dev/null type c mode 0666 uid 65534"*"rdev 1:3"* && "$output" == *"/bin type d mode 0755 uid 0 gid 0"* ]]
    run -0 drupe exec "$(container_id)" /probe ns , ids
    [ "$(inside_ns user)" = "$(readlink "/proc/$HELD/ns/user")" ]
    [[ "$output" == *"uid 0 0 0"* ]]
    run -0 drupe delete --force "$(container_id)"
}

# A sandbox whose namespaces belong to its user namespace.
hold_user_pod() {
    hold --user --net --ipc --uts
    echo '0 100000 65536' >"/proc/$HELD/uid_map"
    echo '0 100000 65536' >"/proc/$HELD/gid_map"
    nsenter -t "$HELD" -U -u hostname pod
}

@test "a joined user namespace needs no mappings" {
    hold_user_pod
    join user "/proc/$HELD/ns/user"
    args /probe ns , ids , read /proc/self/uid_map
    run_container
    [ "$status" = 0 ]
    [ "$(inside_ns user)" = "$(readlink "/proc/$HELD/ns/user")" ]
    [[ "$output" == *"uid 0 0 0"*"0     100000      65536"* ]]
}

@test "a new user namespace with a network namespace of the host joined by path" {
    hold --net
    own_user 0:100000:65536
    join network "/proc/$HELD/ns/net"
    args /probe ns , ids , stat /sys/kernel
    run_container
    [ "$status" = 0 ]
    [ "$(inside_ns net)" = "$(readlink "/proc/$HELD/ns/net")" ]
    [ "$(inside_ns user)" != "$(host_ns user)" ]
    [[ "$output" == *"uid 0 0 0"* && "$output" == *"/sys/kernel type d"* ]]
}

@test "a path that is not a namespace of that type is refused at once, and nothing is created" {
    local dead
    mkfifo "$BATS_TEST_TMPDIR/fifo"
    sleep 1000 3>&- &
    dead=$!
    kill -KILL "$dead"
    wait "$dead" 2>/dev/null || true
    join network /proc/self/ns/ipc
    refused "/proc/self/ns/ipc: is an ipc namespace, not a network namespace"
    join network "$BUNDLE/config.json"
    refused "config.json: is not a namespace"
    join network "$BATS_TEST_TMPDIR/fifo"
    refused "fifo: is not a namespace"
    join network /dev/zero
    refused "/dev/zero: is not a namespace"
    join network "$BUNDLE"
    refused "is not a namespace"
    join network "/proc/$dead/ns/net"
    refused "/proc/$dead/ns/net: No such file or directory"
    join network ns/net
    refused "is not an absolute path"
    for type in mount pid network uts ipc user cgroup time; do
        config '.linux.namespaces |= map(select(.type != "network")) + [{ type: "network" }]'
        config --arg t "$type" '.linux.namespaces += [{ type: $t }, { type: $t, path: "/proc/self/ns/net" }]'
        refused "namespace \"$type\" is listed twice"
        config --arg t "$type" '.linux.namespaces |= map(select(.type != $t)) + [{ type: "network" }] | .linux.namespaces |= unique_by(.type)'
    done
    config '.linux.namespaces += [{ type: "colour" }]'
    refused colour
}

# ---------------------------------------------------------------------------------------------------------------- user namespaces

@test "user namespace: ids are mapped by the config, and the container's root is not the host's" {
    own_user 0:100000:65536
    chown 100000:100000 "$BUNDLE/rootfs" "$BUNDLE/rootfs/tmp"
    echo secret >"$BATS_TEST_TMPDIR/secret"
    chmod 0600 "$BATS_TEST_TMPDIR/secret"
    config --arg s "$BATS_TEST_TMPDIR/secret" '.mounts += [{ destination: "/secret", source: $s, options: ["bind"] }]'
    args /bin/sh -c 'touch /tmp/root /tmp/user && chown 1000:2000 /tmp/user && stat -c "%u %g %n" /tmp/root /tmp/user /etc /secret
        cat /secret; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups'
    run_container
    [ "$status" = 0 ]
    [ "$(head -n 4 <<<"$output" | tr '\n' ';')" = "0 0 /tmp/root;1000 2000 /tmp/user;65534 65534 /etc;65534 65534 /secret;" ]
    [[ "$output" == *"cat: can't open '/secret': Permission denied"* ]]
    [ "$(tail -n 3 <<<"$output" | tr -s ' \n' ' ')" = " 0 100000 65536 0 100000 65536 allow " ]
    [ "$(stat -c '%u %g' "$BUNDLE/rootfs/tmp/root" "$BUNDLE/rootfs/tmp/user" | tr '\n' ';')" = "100000 100000;101000 102000;" ]
}

@test "user namespace: its root's capabilities do not reach what the host owns" {
    own_user 0:100000:65536
    config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN", "CAP_SYS_TIME", "CAP_NET_ADMIN"])'
    # sethostname in its own uts namespace; settimeofday; mount of a disk
    args /probe syscall 170 @mine 4 , host , syscall 164 0 0 , syscall 165 @/dev/null @/tmp @ext4 0 0
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *$'result 0\nhostname mine\n'* ]]
    [ "$(grep -c 'result error EPERM\|result error ENO\|result error EACCES' <<<"$output")" -ge 1 ]
    [ "$(hostname)" != mine ]
}

@test "user namespace: mounts, devices, /proc and /sys are as without" {
    own_user 0:100000:65536
    args /bin/sh -c 'echo x >/dev/null && head -c 4 /dev/zero | wc -c; stat -c "%u %a" /dev/shm /dev/pts; stat -f -c %T /proc /sys /dev/shm
        touch /dev/shm/x /dev/mqueue/y && echo writable; ls -d /sys/class/net/lo; cat /proc/1/comm; echo x 2>&1 >/proc/sys/kernel/msgmax
        echo x 2>&1 >/sys/kernel/uevent_seqnum'
    run_container
    [ "$(head -n 9 <<<"$output" | tr '\n' ';')" = "4;0 1777;0 755;proc;sysfs;tmpfs;writable;/sys/class/net/lo;sh;" ]
    [[ "$output" == *"/proc/sys/kernel/msgmax: Read-only file system"* ]]
    [[ "$output" == *"/sys/kernel/uevent_seqnum: Read-only file system"* || "$output" == *"uevent_seqnum: Permission denied"* ]]
}

@test "user namespace without a network namespace: /sys is the host's, read-only" {
    own_user 0:100000:65536
    config '.linux.namespaces |= map(select(.type != "network"))'
    args /bin/sh -c '[ -d /sys/kernel ] && echo there; grep " /sys " /proc/self/mountinfo; mkdir /sys/kernel/x'
    run_container
    [ "$status" = 1 ]
    [ "${lines[0]}" = there ]
    [[ "${lines[1]}" =~ " /sys ro," ]]
    [[ "$output" == *"can't create directory '/sys/kernel/x': Read-only file system"* || "$output" == *"Operation not permitted"* ]]
}

@test "user namespace: several ranges, and a process of each" {
    own_user 0:100000:10 1000:200000:5
    args /bin/sh -c 'cat /proc/self/uid_map; touch /tmp/x; chown 1004:1004 /tmp/x; chown 10 /tmp/x || echo unmapped'
    chown 100000:100000 "$BUNDLE/rootfs/tmp"
    run_container
    [ "$status" = 0 ]
    [ "$(head -n 2 <<<"$output" | tr -s ' ')" = $' 0 100000 10\n 1000 200000 5' ]
    [ "${lines[-1]}" = unmapped ]
    [ "$(stat -c '%u %g' "$BUNDLE/rootfs/tmp/x")" = "200004 200004" ]
    config '.process.user = { uid: 1003, gid: 9, additionalGids: [1, 1004] }'
    args /probe ids
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *$'uid 1003 1003 1003\ngid 9 9 9\ngroups 1 1004\n'* ]]
}

@test "user namespace: without mappings root gets the full identity map" {
    own_user
    args /bin/sh -c 'cat /proc/self/uid_map /proc/self/gid_map; stat -c %u /etc; touch /tmp/x'
    run_container
    [ "$status" = 0 ]
    [ "$(tr -s ' \n' ' ' <<<"$output")" = " 0 0 4294967295 0 0 4294967295 0 " ]
    [ "$(stat -c %u "$BUNDLE/rootfs/tmp/x")" = 0 ]
}

@test "user namespace: the process's user is one of the container" {
    own_user 0:100000:65536
    config '.process.user = { uid: 1000, gid: 1000, additionalGids: [5, 2000] }'
    args /probe ids , caps
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *$'uid 1000 1000 1000\ngid 1000 1000 1000\ngroups 5 2000\n'* ]]
    [[ "$output" == *"effective 0000000000000000"* ]]
}

@test "user namespace: a user that is not mapped is an error" {
    own_user 0:100000:10
    config '.process.user = { uid: 10, gid: 0 }'
    run_container
    [ "$status" = 1 ]
    [[ "$output" == *"10"* ]]
}

@test "user namespace: exec enters it, as its root or another user, with the container's capabilities" {
    own_user 0:100000:65536
    args /bin/sleep 1000
    detached run -d --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$(container_id)"
    run -0 drupe exec "$(container_id)" /probe ns , ids , host , caps
    for name in user pid mnt net ipc uts cgroup; do
        [ "$name $(inside_ns $name)" = "$name $(readlink "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/ns/$name")" ]
    done
    [[ "$output" == *$'uid 0 0 0\ngid 0 0 0\n'* && "$output" == *"hostname test"* && "$output" == *"effective 00000000a80425fb"* ]]
    run -0 drupe exec --user 1000:2000 "$(container_id)" /bin/sh -c 'id -u; id -g; touch /dev/shm/x; stat -c "%u %g" /dev/shm/x'
    [ "$output" = $'1000\n2000\n1000 2000' ]
    run -0 drupe exec "$(container_id)" /bin/sh -c 'kill -KILL 1; id -u'
    [ "$output" = 0 ]
    run -0 drupe delete --force "$(container_id)"
}

@test "user namespace: the root file system below a directory that its root may not enter" {
    own_user 0:100000:65536
    chmod 0700 "$BUNDLE"
    [ "$(stat -c '%u %a' "$BUNDLE")" = "0 700" ]
    args /bin/ls /
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *probe* ]]
}

@test "user namespace: contradictory mappings are refused" {
    map_ids 0:100000:65536
    refused "linux.uidMappings: needs a user namespace"
    own_user 0:100000:10 5:200000:10
    refused "linux.uidMappings[1]: container ids overlap"
    map_ids 0:100000:10 10:100005:10
    refused "linux.uidMappings[1]: host ids overlap"
    map_ids 0:100000:10
    config 'del(.linux.gidMappings)'
    refused "linux.gidMappings: missing"
    map_ids 0:100000:0
    refused size
    map_ids 4294967290:100000:10
    refused "idMappings[0].size: the range"
}

# --------------------------------------------------------------------------------------------------------------------------- names

@test "hostname and domainname are set inside only" {
    local before
    before=$(hostname)
    config '.hostname = "box" | .domainname = "example.org"'
    args /probe host
    run_container
    [ "$status" = 0 ]
    [ "$(head -n 2 <<<"$output" | tr '\n' ';')" = "hostname box;domainname example.org;" ]
    [ "$(hostname)" = "$before" ]
    config 'del(.domainname) | .hostname = ""'
    run_container
    [ "${lines[0]}" = "hostname $before" ]
}

@test "hostname and domainname need a uts namespace that is not the host's, and 64 bytes at most" {
    config '.linux.namespaces |= map(select(.type != "uts"))'
    refused "hostname: needs a uts namespace"
    config '.domainname = "x" | del(.hostname)'
    refused "domainname: needs a uts namespace"
    join uts /proc/self/ns/uts
    refused "is the runtime's own uts namespace"
    join uts ''
    config '.hostname = "x" * 65'
    refused "hostname: is 65 bytes long"
    config '.hostname = "x" * 64 | del(.domainname)'
    run_container
    [ "$status" = 0 ]
}

@test "hostname is set in a uts namespace joined by path" {
    hold --uts
    join uts "/proc/$HELD/ns/uts"
    config '.hostname = "renamed"'
    run_container
    [ "$status" = 0 ]
    [ "$(nsenter -t "$HELD" -u hostname)" = renamed ]
    [ "$(hostname)" != renamed ]
}

# ------------------------------------------------------------------------------------------------------------------------- sysctls

# sysctls NAME=VALUE...: in this order, since some of them set others, too
sysctls() {
    JQ=jq config '.linux.sysctl = ($ARGS.positional | map(capture("^(?<key>[^=]*)=(?<value>.*)$")) | from_entries)' --args "$@"
}

SYSCTL_FILES=(kernel/msgmax kernel/sem kernel/shmmax fs/mqueue/msg_max net/ipv4/ip_forward net/ipv4/ip_unprivileged_port_start kernel/domainname
    kernel/core_pattern kernel/pid_max vm/swappiness kernel/hostname)

host_sysctls() { (cd /proc/sys && tail -n +1 "${SYSCTL_FILES[@]}"); }

@test "sysctls of the container's namespaces are set inside, with dots or slashes, and nothing changes on the host" {
    local before
    before=$(host_sysctls)
    sysctls kernel.msgmax=4242 'kernel/sem=100 200 30 40' kernel.shmmax=1234567 fs.mqueue.msg_max=77 net.ipv4.ip_forward=1 \
        net/ipv4/ip_unprivileged_port_start=0 net.ipv4.conf.lo.forwarding=0 kernel.domainname=by-sysctl
    args /bin/sh -c 'cd /proc/sys; cat kernel/msgmax kernel/sem kernel/shmmax fs/mqueue/msg_max net/ipv4/ip_forward \
        net/ipv4/ip_unprivileged_port_start net/ipv4/conf/lo/forwarding kernel/domainname'
    run_container
    [ "$status" = 0 ]
    [ "$(tr '\t\n' ' ;' <<<"$output")" = "4242;100 200 30 40;1234567;77;1;0;0;by-sysctl;" ]
    [ "$(host_sysctls)" = "$before" ]
}

@test "sysctls in a user namespace" {
    own_user 0:100000:65536
    sysctls net.ipv4.ip_forward=1 'net.ipv4.ping_group_range=0 65535' user.max_net_namespaces=7
    args /bin/sh -c 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ping_group_range /proc/sys/user/max_net_namespaces'
    run_container
    [ "$status" = 0 ]
    [ "$(tr '\t\n' ' ;' <<<"$output")" = "1;0 65535;7;" ]
    sysctls 'net.ipv4.ping_group_range=0 2147483647'
    refused "group 2147483647 is not in linux.gidMappings"
}

@test "sysctls of an ipc namespace in a user namespace" {
    own_user 0:100000:65536
    sysctls kernel.msgmax=4242 kernel.shm_rmid_forced=1 fs.mqueue.msg_max=77
    args /bin/sh -c 'cat /proc/sys/kernel/msgmax /proc/sys/kernel/shm_rmid_forced /proc/sys/fs/mqueue/msg_max'
    run_container
    [ "$status" = 0 ]
    [ "$(tr '\n' ';' <<<"$output")" = "4242;1;77;" ]
}

@test "sysctls that belong to the host are refused, and its values stay" {
    local before name
    before=$(host_sysctls)
    for name in kernel.core_pattern vm.swappiness kernel.pid_max fs.file-max kernel.shmfoo kernel.msgmax.x kernel/../vm/swappiness \
        net.ipv4.../../../kernel/core_pattern net..ipv4 /kernel/msgmax kernel.msgmax/ 'net.ipv4.x y' ''; do
        sysctls "$name=1"
        refused 'linux.sysctl'
    done
    sysctls kernel.hostname=x
    refused "use hostname instead"
    sysctls kernel.msgmax=1 kernel/msgmax=2
    refused "given twice"
    [ "$(host_sysctls)" = "$before" ]
}

@test "sysctls are refused where their namespace is the host's, be it by absence or by path" {
    local before type
    before=$(host_sysctls)
    for type in network:net.ipv4.ip_forward ipc:kernel.msgmax ipc:fs.mqueue.msg_max uts:kernel.domainname; do
        sysctls "${type#*:}=1"
        config --arg t "${type%:*}" '.linux.namespaces |= map(select(.type != $t)) | del(.hostname)'
        refused "namespace; without one it would change the host"
        join "${type%:*}" "/proc/self/ns/$(proc_name "${type%:*}")"
        refused "is the runtime's own ${type%:*} namespace"
        join "${type%:*}" "/proc/$$/ns/$(proc_name "${type%:*}")"
        refused "is the runtime's own ${type%:*} namespace"
        join "${type%:*}" ''
    done
    sysctls user.max_net_namespaces=1
    refused "needs a user namespace"
    [ "$(host_sysctls)" = "$before" ]
}

@test "sysctls are set in a namespace joined by path" {
    hold --net
    join network "/proc/$HELD/ns/net"
    sysctls net.ipv4.ip_default_ttl=99
    run_container
    [ "$status" = 0 ]
    [ "$(nsenter -t "$HELD" -n cat /proc/sys/net/ipv4/ip_default_ttl)" = 99 ]
    [ "$(cat /proc/sys/net/ipv4/ip_default_ttl)" != 99 ]
}

@test "a sysctl that the kernel refuses is named" {
    sysctls net.ipv4.no_such=1
    refused "/proc/sys/net/ipv4/no_such: No such file or directory"
    sysctls net.ipv4.ip_forward=nonsense
    refused "/proc/sys/net/ipv4/ip_forward: Invalid argument"
}

# -------------------------------------------------------------------------------------------------------------------------- clocks

uptime_seconds() { cut -d. -f1 /proc/uptime; }

# near A B: within a minute.
near() { [ $(($1 - $2)) -le 60 ] && [ $(($2 - $1)) -le 60 ]; }

@test "time offsets move the container's clocks, in exec too" {
    [ -e /proc/self/ns/time ] || skip "no time namespaces"
    local user
    for user in false true; do
        config '.linux.namespaces += [{ type: "time" }] | .linux.timeOffsets = {
            monotonic: { secs: 86400, nanosecs: 5 }, boottime: { secs: 1000000 } }'
        ! "$user" || own_user 0:100000:65536
        args /bin/sleep 1000
        detached run -d --bundle "$BUNDLE" "$(container_id)"
        run -0 drupe exec "$(container_id)" /probe clocks , read /proc/uptime
        near "$(sed -n 's/^monotonic //p' <<<"$output")" $((86400 + $("$PROBE" clocks | sed -n 's/^monotonic //p')))
        near "$(sed -n 's/^boottime //p' <<<"$output")" $((1000000 + $(uptime_seconds)))
        near "$(tail -n 1 <<<"$output" | cut -d. -f1)" $((1000000 + $(uptime_seconds)))
        run -0 drupe delete --force "$(container_id)"
        args /probe clocks
        run_container
        near "$(sed -n 's/^boottime //p' <<<"$output")" $((1000000 + $(uptime_seconds)))
        config '.linux.namespaces |= map(select(.type != "time"))'
    done
}

@test "time offsets may be negative; a time namespace without offsets has the host's clocks" {
    [ -e /proc/self/ns/time ] || skip "no time namespaces"
    config '.linux.namespaces += [{ type: "time" }]'
    args /probe clocks , ns
    run_container
    [ "$(inside_ns time)" != "$(host_ns time)" ]
    near "$(sed -n 's/^boottime //p' <<<"$output")" "$(uptime_seconds)"
    config '.linux.timeOffsets = { boottime: { secs: -1, nanosecs: 999999999 } }'
    run_container
    [ "$status" = 0 ]
    near "$(sed -n 's/^boottime //p' <<<"$output")" "$(uptime_seconds)"
}

@test "time offsets in a joined user namespace" {
    [ -e /proc/self/ns/time ] || skip "no time namespaces"
    hold_user_pod
    join user "/proc/$HELD/ns/user"
    config '.linux.namespaces += [{ type: "time" }] | .linux.timeOffsets = { boottime: { secs: 1000000 } }'
    args /probe clocks
    run_container
    [ "$status" = 0 ]
    near "$(sed -n 's/^boottime //p' <<<"$output")" $((1000000 + $(uptime_seconds)))
}

@test "time offsets without a new time namespace, of other clocks or out of range are refused" {
    [ -e /proc/self/ns/time ] || skip "no time namespaces"
    config '.linux.timeOffsets = { boottime: { secs: 5 } }'
    refused "linux.timeOffsets: needs a time namespace"
    hold --time
    join time "/proc/$HELD/ns/time"
    refused "linux.timeOffsets: the clocks of a time namespace joined by path are fixed already"
    join time ''
    config '.linux.timeOffsets = { realtime: { secs: 5 } }'
    refused "timeOffsets"
    config '.linux.timeOffsets = { boottime: { nanosecs: 1000000000 } }'
    refused "timeOffsets"
    config '.linux.timeOffsets = { boottime: { secs: -1000000000 } }'
    refused "linux.timeOffsets: "
}

# ------------------------------------------------------------------------------------------------------------------- cgroup, network

@test "in a cgroup namespace of its own the container's cgroup is the root" {
    args /probe read /proc/self/cgroup
    run_container
    [ "$status" = 0 ]
    [ "$(cut -d: -f3- <<<"$output" | sort -u)" = / ]
    config '.linux.namespaces |= map(select(.type != "cgroup"))'
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *"-$(container_id)"* ]]
    config '.linux.namespaces += [{ type: "cgroup" }]'
    args /bin/sleep 1000
    detached run -d --bundle "$BUNDLE" "$(container_id)"
    run -0 drupe exec "$(container_id)" /probe read /proc/self/cgroup
    [ "$(cut -d: -f3- <<<"$output" | sort -u)" = / ]
    run -0 drupe delete --force "$(container_id)"
}

@test "the loopback of a new network namespace is up, that of a joined one is left alone" {
    args /probe connect 127.0.0.1 9
    run_container
    [ "$output" = "connect error ECONNREFUSED" ]
    hold --net
    join network "/proc/$HELD/ns/net"
    run_container
    [ "$output" = "connect error ENETUNREACH" ]
}

# ----------------------------------------------------------------------------------------------------------------- network devices

# From now on the runtime's network is a namespace of this test, so that its devices are nobody else's.
own_host_network() {
    [ -x "$(dirname "$RUNTIME")/../libexec/drupe/net" ] || [ -x /usr/local/libexec/drupe/net ] || skip "the helper program is not built"
    hold --net
    HOST=$HELD
    printf '#!/bin/sh\nexec nsenter -t %s -n %s "$@"\n' "$HOST" "$RUNTIME" >"$BATS_TEST_TMPDIR/drupe"
    chmod +x "$BATS_TEST_TMPDIR/drupe"
    RUNTIME=$BATS_TEST_TMPDIR/drupe
}

host_ip() { nsenter -t "$HOST" -n ip "$@"; }

# devices JSON
devices() { config ".linux.netDevices = $1"; }

@test "network devices are moved, renamed, keep their addresses and are up" {
    own_host_network
    host_ip link add v0 type veth peer name v1
    host_ip link add v2 type veth peer name v3
    host_ip addr add 192.0.2.5/24 dev v0
    # A kernel without IPv6 has no such address to keep.
    if [ -e /proc/net/if_inet6 ]; then host_ip addr add 2001:db8::5/64 dev v0 nodad; fi
    host_ip link set v0 up
    devices '{ v0: { name: "eth0" }, v2: {}, v3: { name: "net%d" } }'
    args /bin/sh -c 'ip -o addr show; ip -o link show'
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *"eth0    inet 192.0.2.5/24"* ]]
    if [ -e /proc/net/if_inet6 ]; then [[ "$output" == *"eth0    inet6 2001:db8::5/64"* ]]; fi
    [[ "$output" =~ ": eth0@if"[0-9]+": <"[A-Z,_-]*",UP" ]]
    [[ "$output" =~ ": v2@net0: <"[A-Z,_-]*",UP" ]]
    [[ "$output" =~ ": net0@v2: <"[A-Z,_-]*",UP" ]]
    # A virtual device ends with the container's namespace, and its peer with it.
    wait_for 10 no_device v1
}

no_device() { ! host_ip link show "$1" >/dev/null 2>&1; }

@test "network devices go to a network namespace joined by path" {
    own_host_network
    host_ip link add v0 type veth peer name v1
    host_ip addr add 192.0.2.5/24 dev v0
    hold --net
    join network "/proc/$HELD/ns/net"
    devices '{ v0: { name: "eth0" } }'
    args /bin/ip -o addr show eth0
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *"inet 192.0.2.5/24"* ]]
    nsenter -t "$HELD" -n ip link show eth0
    no_device v0
}

@test "network devices go to a container with a user namespace" {
    own_host_network
    own_user 0:100000:65536
    host_ip link add v0 type veth peer name v1
    host_ip addr add 192.0.2.5/24 dev v0
    devices '{ v0: { name: "eth0" } }'
    args /bin/ip -o addr show eth0
    run_container
    [ "$status" = 0 ]
    [[ "$output" == *"inet 192.0.2.5/24"* ]]
}

@test "a network device that cannot be moved stays as it was, and nothing is created" {
    own_host_network
    host_ip link add v0 type veth peer name v1
    host_ip addr add 192.0.2.5/24 dev v0
    host_ip link set v0 up
    devices '{ none: {} }'
    refused "linux.netDevices: none: no such device on the host"
    hold --net
    nsenter -t "$HELD" -n ip link add eth0 type veth peer name eth1
    join network "/proc/$HELD/ns/net"
    devices '{ v0: { name: "eth0" } }'
    refused "linux.netDevices: v0: eth0: a device of that name is already in the container"
    join network ''
    devices '{ lo: { name: "eth0" } }'
    refused "linux.netDevices.lo"
    devices '{ v0: { name: "a/b" } }'
    refused "linux.netDevices.v0.name"
    devices '{ v0: { name: "sixteen-bytes-xx" } }'
    refused "linux.netDevices.v0.name"
    devices '{ v0: { name: "x" }, v1: { name: "x" } }'
    refused "two devices are to be named x"
    join network "/proc/$HOST/ns/net"
    devices '{ v0: { name: "eth0" } }'
    refused "the container's network namespace is the host's own"
    config '.linux.namespaces |= map(select(.type != "network"))'
    refused "linux.netDevices: needs a network namespace"
    [[ "$(host_ip -o addr show v0)" == *"inet 192.0.2.5/24"* ]]
    [[ "$(host_ip -o link show v0)" == *",UP"* ]]
}
