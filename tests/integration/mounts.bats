#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for the inner shell and for jq
# The mounts of a config, by their effect: what /proc/self/mountinfo says inside, and that nothing of it reaches the host.
load helpers

setup() {
    begin_test
    setup_bundle
    T=$BATS_TEST_TMPDIR
    MOUNTS=()
    IMAGES=0
}

# add_mount DESTINATION TYPE SOURCE [OPTION]...: one more entry of mounts, for run_mounts.
add_mount() {
    local dest=$1 type=$2 source=$3 o
    shift 3
    o=$(printf '"%s",' "$@")
    MOUNTS+=("{\"destination\":\"$dest\",\"type\":\"$type\",\"source\":\"$source\",\"options\":[${o%,}]}")
}

bind_mount() { add_mount "$1" none "$2" "${@:3}"; }

# Adds what add_mount collected to the config.
put_mounts() {
    local IFS=,
    config --argjson m "[${MOUNTS[*]}]" '.mounts += $m'
    MOUNTS=()
}

# run_mounts [SCRIPT]: runs the container; mountinfo comes first in $output, then what the script says.
run_mounts() {
    put_mounts
    args sh -c "cat /proc/self/mountinfo; ${1-:}; :"
    run_container
    [ "$status" = 0 ] || { echo "$output"; return 1; }
}

# refused TEXT...: the container must not start, and the message must hold every TEXT.
refused() {
    put_mounts
    run_container
    [ "$status" = 1 ]
    for text; do
        [[ "$output" == *"$text"* ]] || { printf 'no "%s" in: %s\n' "$text" "$output"; return 1; }
    done
}

# The attributes, superblock options and propagation of the topmost mount at a place, from $output.
attrs() { awk -v p="$1" '$5 == p && / - / { v = $6 } END { print v }' <<<"$output"; }
sb_options() { awk -v p="$1" '$5 == p && / - / { v = $NF } END { print v }' <<<"$output"; }
fs_type() { awk -v p="$1" '$5 == p && / - / { v = $(NF-2) } END { print v }' <<<"$output"; }
propagation() { awk -v p="$1" '$5 == p && / - / { v = ""; for (i = 7; $i != "-"; i++) v = v $i " " } END { print v }' <<<"$output"; }

# has PLACE OPTION, lacks PLACE OPTION: attributes of a mount.
has() { [[ ",$(attrs "$1")," == *",$2,"* ]] || { echo "$1 has no $2: $(attrs "$1")"; return 1; }; }
lacks() { [[ ",$(attrs "$1")," == *,r[ow],* && ",$(attrs "$1")," != *",$2,"* ]] || { echo "$1 has $2: $(attrs "$1")"; return 1; }; }

user_ns() {
    config '.linux.namespaces += [{ type: "user" }] | .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
        | .linux.gidMappings = .linux.uidMappings'
    chown -hR 100000:100000 "$BUNDLE/rootfs"
}

# A tmpfs on the host, thrown away with the test; with another one below it.
host_tmpfs() {
    mkdir -p "$1"
    mount -t tmpfs tmpfs "$1" -o "${2:-mode=755}"
    UNMOUNT=("$1" "${UNMOUNT[@]}") # innermost first
}

# idmappable DIR: a file system there whose ids can be mapped: a tmpfs, before Linux 6.3 a loop device with ext4.
idmappable() {
    local release major minor
    release=$(uname -r)
    IFS=.- read -r major minor _ <<<"$release"
    if [ $((major * 1000 + minor)) -ge 6003 ]; then
        host_tmpfs "$1"
        return
    fi
    mkdir -p "$1"
    truncate -s 8M "$T/ext4-$((++IMAGES))"
    mke2fs -q -F -t ext4 "$T/ext4-$IMAGES" || skip 'needs mke2fs'
    mount -o loop "$T/ext4-$IMAGES" "$1" || skip 'needs loop devices'
    UNMOUNT=("$1" "${UNMOUNT[@]}")
}

# --------------------------------------------------------------------------------------------------------------------- attributes

ATTRIBUTES='ro ro
nosuid nosuid
nodev nodev
noexec noexec
nodiratime nodiratime
nosymfollow nosymfollow
noatime noatime
relatime relatime
nostrictatime relatime
atime relatime'

@test "attributes: each word is in force on a new file system, plain and recursive" {
    local word flag
    while read -r word flag; do
        add_mount "/m/$word" tmpfs tmpfs "$word"
        add_mount "/r/$word" tmpfs tmpfs "r$word"
    done <<<"$ATTRIBUTES"
    add_mount /m/strictatime tmpfs tmpfs noatime strictatime
    add_mount /r/strictatime tmpfs tmpfs noatime rstrictatime
    add_mount /m/suid tmpfs tmpfs nosuid nodev noexec nodiratime nosymfollow ro rsuid rdev rexec rdiratime rsymfollow rrw
    run_mounts
    while read -r word flag; do
        has "/m/$word" "$flag"
        has "/r/$word" "$flag"
    done <<<"$ATTRIBUTES"
    for m in m r; do
        lacks "/$m/strictatime" noatime
        lacks "/$m/strictatime" relatime
        lacks "/$m/nosuid" nodev
    done
    [ "$(attrs /m/suid)" = rw,relatime ]
}

@test "attributes: each word is in force on a bind, and the source keeps its own" {
    local word flag before
    host_tmpfs "$T/src"
    host_tmpfs "$T/src/below"
    before=$(grep -F "$T/src" /proc/self/mountinfo)
    while read -r word flag; do
        bind_mount "/m/$word" "$T/src" rbind "$word"
        bind_mount "/r/$word" "$T/src" rbind "r$word"
    done <<<"$ATTRIBUTES"
    run_mounts
    while read -r word flag; do
        has "/m/$word" "$flag"
        has "/r/$word" "$flag"
        has "/r/$word/below" "$flag"
        [ "$flag" = relatime ] || lacks "/m/$word/below" "$flag"
    done <<<"$ATTRIBUTES"
    [ "$(grep -F "$T/src" /proc/self/mountinfo)" = "$before" ]
}

@test "attributes: clearing words clear what the source has, one by one, and recursively" {
    local word flag table='rw ro
suid nosuid
dev nodev
exec noexec
diratime nodiratime
symfollow nosymfollow
atime noatime
strictatime noatime'
    for d in src src/below; do
        host_tmpfs "$T/$d"
    done
    for d in src src/below; do
        mount -o remount,bind,ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow "$T/$d"
    done
    bind_mount /plain "$T/src" rbind
    while read -r word flag; do
        bind_mount "/m/$word" "$T/src" rbind "$word"
        bind_mount "/r/$word" "$T/src" rbind "r$word"
    done <<<"$table"
    run_mounts
    [ "$(attrs /plain)" = ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow ]
    [ "$(attrs /plain/below)" = ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow ]
    while read -r word flag; do
        lacks "/m/$word" "$flag"
        has "/m/$word/below" "$flag"
        lacks "/r/$word" "$flag"
        lacks "/r/$word/below" "$flag"
        [ "$flag" = nosuid ] || has "/r/$word/below" nosuid
    done <<<"$table"
}

@test "attributes: of contradicting words the last one wins" {
    add_mount /m/a tmpfs tmpfs ro rw
    add_mount /m/b tmpfs tmpfs rw ro
    add_mount /m/c tmpfs tmpfs noexec exec noexec
    add_mount /m/d tmpfs tmpfs noatime relatime
    run_mounts
    has /m/a rw
    has /m/b ro
    has /m/c noexec
    has /m/d relatime
}

@test "attributes: words of the superblock reach a new file system and do nothing to a bind" {
    host_tmpfs "$T/src"
    for word in sync dirsync lazytime; do
        add_mount "/m/$word" tmpfs tmpfs "$word"
        bind_mount "/b/$word" "$T/src" bind "$word"
    done
    add_mount /m/rsync tmpfs tmpfs rsync
    add_mount /m/none tmpfs tmpfs async nolazytime nomand rasync rnomand
    run_mounts
    for word in sync dirsync lazytime; do
        [[ ",$(sb_options "/m/$word")," == *",$word,"* ]]
        [[ ",$(sb_options "/b/$word")," != *",$word,"* ]]
    done
    [[ ",$(sb_options /m/rsync)," == *",sync,"* ]]
    [[ ",$(sb_options /m/none)," != *"sync"* ]]
}

@test "attributes: every word that features lists is accepted" {
    run -0 --separate-stderr drupe features
    for word in $(jq -r '.mountOptions[]' <<<"$output"); do
        case $word in
        bind | rbind | remount | idmap | ridmap | copy-symlink | src-nofollow) continue ;;
        esac
        add_mount "/m/$word" tmpfs tmpfs "$word"
    done
    run_mounts
}

@test "attributes: the flags that the host gave the root file system stay" {
    mount --bind "$BUNDLE/rootfs" "$BUNDLE/rootfs"
    UNMOUNT+=("$BUNDLE/rootfs")
    mount -o remount,bind,nosuid,nodev "$BUNDLE/rootfs"
    run_mounts
    has / nosuid
    has / nodev
}

@test "attributes: in a user namespace the host's flags are locked, and clearing one by name is refused" {
    user_ns
    config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
    host_tmpfs "$T/src"
    mkdir -m 0777 "$T/src/dir"
    mount -o remount,bind,ro,nosuid,nodev,noexec,noatime "$T/src"
    host_tmpfs "$T/over"
    mkdir "$T/over/below"
    echo secret >"$T/over/below/hidden"
    host_tmpfs "$T/over/below"
    bind_mount /m/bind "$T/src" bind
    bind_mount /m/over "$T/over" rbind
    run_mounts 'for o in rw exec suid dev; do mount -o remount,bind,$o /m/bind 2>&1; done; umount /m/over/below 2>&1; cat /m/over/below/hidden; touch /m/bind/dir/x'
    [ "$(attrs /m/bind)" = ro,nosuid,nodev,noexec,noatime ]
    [ "$(grep -c '^mount: ' <<<"$output")" = 4 ]
    [[ "$output" == *"can't unmount /m/over/below"* ]]
    [[ "$output" != *secret* ]]
    [ ! -e "$T/src/dir/x" ]
    bind_mount /m/exec "$T/src" bind exec
    refused 'mounts[9] (/m/exec)' locked
    config 'del(.mounts[9])'
    bind_mount /m/revealed "$T/over" bind
    refused 'mounts[9] (/m/revealed)' 'must not be revealed'
}

@test "attributes: remount changes an earlier mount" {
    add_mount /m tmpfs tmpfs mode=700
    add_mount /m tmpfs tmpfs remount noexec nosuid
    host_tmpfs "$T/src"
    bind_mount /b "$T/src" bind
    bind_mount /b none remount bind ro
    run_mounts
    has /m noexec
    has /b ro
    [ "$(grep -c ' /m rw' <<<"$output")" = 1 ]
    add_mount /m tmpfs tmpfs remount size=1m
    refused 'mounts[11] (/m)' size
}

# ---------------------------------------------------------------------------------------------------------------------------- binds

@test "bind: files, directories, sockets and links as sources; missing places are made with sane modes" {
    mkdir -p "$T/src/dir" "$T/secret/inner"
    chmod 0700 "$T/secret"
    echo file >"$T/src/file"
    echo inner >"$T/secret/inner/f"
    mkfifo "$T/src/fifo"
    ln -s file "$T/src/link"
    ln -s dir "$T/src/dirlink"
    umask 077
    bind_mount /new/deep/file "$T/src/file" bind
    bind_mount /new/dir "$T/src/dir" bind
    bind_mount /new/link "$T/src/link" bind
    bind_mount /new/dirlink "$T/src/dirlink" bind
    bind_mount /new/fifo "$T/src/fifo" bind
    bind_mount /new/null /dev/null bind
    bind_mount /new/secret "$T/secret/inner" bind
    bind_mount relative/place "$T/src/dir" bind
    bind_mount /new/../up "$T/src/dir" bind
    run_mounts 'cat /new/deep/file /new/link /new/secret/f; cd /; stat -c "%n %F %a" new new/deep new/fifo new/dirlink relative up; echo x >/new/null; umount /new/deep/file /new/dir 2>/dev/null; :'
    [ "$(fs_type /new/deep/file)" = "$(stat -f -c %T "$T" | sed 's,ext2/ext3,ext4,')" ] || [ -n "$(fs_type /new/deep/file)" ]
    [ "$(grep -c '^file$' <<<"$output")" = 2 ]
    [[ "$output" == *"inner"* ]]
    [[ "$output" == *"new directory 755"*"new/deep directory 755"*"new/fifo fifo"*"new/dirlink directory"*"relative directory 755"* ]]
    [ -n "$(attrs /relative/place)" ]
    [ -n "$(attrs /up)" ]
    [ "$(stat -c '%F %a %s' "$BUNDLE/rootfs/new/deep/file")" = 'regular empty file 644 0' ]
    [ "$(stat -c '%F %a' "$BUNDLE/rootfs/new/dir")" = 'directory 755' ]
}

@test "bind: source paths are relative to the bundle; one that is missing or dangling is named" {
    mkdir "$BUNDLE/beside"
    bind_mount /m beside bind
    run_mounts
    [ -n "$(attrs /m)" ]
    ln -s nowhere "$T/dangling"
    bind_mount /n "$T/dangling" bind
    refused 'mounts[8] (/n)' "$T/dangling" 'No such file'
    config 'del(.mounts[8])'
    bind_mount /n '' bind
    refused 'mounts[8] (/n)' source
    config 'del(.mounts[8]) | .mounts += [{ destination: "/n", type: "bind", source: "/tmp" }]'
    refused 'mounts[8] (/n)' bind
    [ ! -e "$BUNDLE/rootfs/n" ]
}

@test "bind: not recursive without rbind" {
    host_tmpfs "$T/src"
    host_tmpfs "$T/src/below"
    bind_mount /one "$T/src" bind
    bind_mount /all "$T/src" rbind
    bind_mount /both "$T/src" bind rbind
    touch "$T/src/below/there"
    run_mounts 'cd /; ls -d one/below one/below/there all/below/there both/below/there 2>&1'
    [ -z "$(attrs /one/below)" ]
    [ "$(grep -c '^\(one/below\|all/below/there\|both/below/there\)$' <<<"$output")" = 3 ]
    [[ "$output" == *'one/below/there: No such file'* ]]
}

@test "bind: onto / becomes the root, with what follows on top of it" {
    cp -a "$BUNDLE/rootfs" "$T/other"
    echo other >"$T/other/which"
    config --arg s "$T/other" '.mounts = [{ destination: "/", type: "none", source: $s, options: ["bind", "ro"] }] + .mounts'
    mkdir "$T/other/m"
    add_mount /m tmpfs tmpfs
    run_mounts 'cat /which; echo x >/m/f && cat /m/f; touch /new 2>&1'
    [[ "$output" == *other*x*'Read-only'* ]]
    has / ro
}

@test "bind: the content of /proc may be bound elsewhere, and procfs itself on /proc" {
    bind_mount /m/version /proc/version bind ro
    config '.mounts[0] = { destination: "/proc", type: "none", source: "/proc", options: ["rbind"] } | .linux.namespaces -= [{ type: "pid" }]'
    run_mounts 'cat /m/version'
    [[ "$output" == *'Linux version'* ]]
    [ "$(fs_type /proc)" = proc ]
}

@test "links: copy-symlink makes the link anew, src-nofollow and dest-nofollow take the link itself" {
    echo source >"$T/file"
    ln -s file "$T/link"
    ln -s /etc/target "$T/dangling"
    echo target >"$BUNDLE/rootfs/etc/target"
    ln -s target "$BUNDLE/rootfs/etc/link"
    bind_mount /m/copied "$T/dangling" bind copy-symlink
    bind_mount /m/nolink "$T/file" bind copy-symlink
    bind_mount /m/itself "$T/dangling" bind src-nofollow
    bind_mount /etc/link "$T/file" bind dest-nofollow
    run_mounts 'readlink /m/copied; readlink /m/itself; cat /m/copied /m/nolink /etc/link /etc/target'
    [ -z "$(attrs /m/copied)" ]
    [ "$(grep -c '^/etc/target$' <<<"$output")" = 2 ]
    [ "$(tail -n 4 <<<"$output" | tr '\n' ' ')" = 'target source source target ' ]
    # The second time the link is there; another one is not replaced.
    run_container
    [ "$status" = 0 ]
    ln -sfn /elsewhere "$BUNDLE/rootfs/m/copied"
    refused 'mounts[7] (/m/copied)' 'not a link to /etc/target'
}

# ---------------------------------------------------------------------------------------------------------------------- propagation

@test "propagation: by default nothing gets out and nothing gets in" {
    host_tmpfs "$T/src"
    mkdir "$T/src/out" "$T/src/in"
    bind_mount /m "$T/src" rbind
    config '.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"])'
    config '.mounts |= map(select(.destination != "/sys/fs/cgroup"))'
    run_mounts 'mount -t tmpfs out /m/out && mount -t tmpfs root /home; read -r line </proc/1/mountinfo; cat /proc/self/mountinfo >/m/info; :'
    [ "$(propagation /)" = '' ]
    [ "$(propagation /m)" = '' ]
    grep -q ' /m/out ' "$T/src/info"
    run ! grep -F -e "$T/src/out" -e "$BUNDLE/rootfs" /proc/self/mountinfo
}

# peers WORD ROOT-PROPAGATION: the container mounts at /m/out, the host at src/in while it runs. Tells who saw what.
peers() {
    rm -f "$T/src/seen" "$T/src/done"
    config --arg r "$2" --arg s "$T/src" --arg w "$1" '.linux.rootfsPropagation = $r
        | .mounts |= map(select(.destination != "/m")) + [{ destination: "/m", type: "none", source: $s, options: ["rbind", $w] }]
        | .process.capabilities |= map_values(. + ["CAP_SYS_ADMIN"] | unique)'
    args sh -c 'mount -t tmpfs out /m/out; touch /m/ready; while [ ! -e /m/done ]; do sleep 0.02; done; cat /proc/self/mountinfo >/m/seen'
    detached run --detach --bundle "$BUNDLE" "$(container_id)"
    wait_for 10 test -e "$T/src/ready"
    grep -qF " $T/src/out " /proc/self/mountinfo && echo out
    mount -t tmpfs in "$T/src/in"
    touch "$T/src/done"
    wait_for 10 stopped # the table comes in more than one piece
    grep -q ' /m/in ' "$T/src/seen" && echo in
    umount "$T/src/in"
    while umount "$T/src/out" 2>/dev/null; do :; done
    rm -f "$T/src/ready"
    drupe delete "$(container_id)"
}

stopped() { [ "$(drupe state "$(container_id)" | jq -r .status)" = stopped ]; }

@test "propagation: rshared below a shared root goes both ways, rslave inwards only, private words stop both" {
    mount -t tmpfs src "$(mkdir -p "$T/src" && echo "$T/src")"
    UNMOUNT+=("$T/src")
    mount --make-shared "$T/src"
    mkdir "$T/src/in" "$T/src/out"
    [ "$(peers rshared rshared | xargs)" = 'out in' ]
    [ "$(peers rslave rslave | xargs)" = in ]
    [ "$(peers rslave rshared | xargs)" = in ]
    [ "$(peers rprivate rshared | xargs)" = '' ]
    # A root that is not shared keeps what is below it from reaching the host.
    [ "$(peers rshared rslave | xargs)" = in ]
}

@test "propagation: each word shows on the mount" {
    host_tmpfs "$T/src"
    for word in shared slave private unbindable; do
        bind_mount "/m/$word" "$T/src" bind "$word"
        bind_mount "/r/$word" "$T/src" rbind "r$word"
        add_mount "/t/$word" tmpfs tmpfs "$word"
    done
    run_mounts
    for d in m r; do
        [[ "$(propagation /$d/shared)" == *shared:* ]]
        [[ "$(propagation /$d/slave)" == master:* ]]
        [ "$(propagation /$d/private)" = '' ]
        [ "$(propagation /$d/unbindable)" = 'unbindable ' ]
    done
    [[ "$(propagation /t/shared)" == shared:* ]]
    [ "$(propagation /t/unbindable)" = 'unbindable ' ]
}

# --------------------------------------------------------------------------------------------------------------------- mapped ids

@test "idmap: own maps, without the word too; ridmap reaches what is mounted below" {
    local maps='{ "uidMappings": [{ "containerID": 0, "hostID": 5000, "size": 1000 }], "gidMappings": [{ "containerID": 0, "hostID": 6000, "size": 1000 }] }'
    idmappable "$T/src"
    idmappable "$T/src/below"
    touch "$T/src/f" "$T/src/below/f"
    chown 7:8 "$T/src/f" "$T/src/below/f"
    config --arg s "$T/src" --argjson maps "$maps" '.mounts += ([
        { destination: "/m/word", options: ["rbind", "idmap"] },
        { destination: "/m/none", options: ["rbind"] },
        { destination: "/m/rec", options: ["rbind", "ridmap"] }] | map(. + { type: "none", source: $s } + $maps))'
    bind_mount /m/inline "$T/src" rbind 'idmap=uids=0-5000-100#100-9000-1;gids=0-6000-100'
    bind_mount /m/plain "$T/src" rbind
    run_mounts 'cd /m; stat -c "%n %u:%g" */f */below/f; touch word/new && stat -c "%n %u:%g" word/new plain/new'
    for line in 'word/f 5007:6008' 'none/f 5007:6008' 'rec/f 5007:6008' 'inline/f 5007:6008' 'plain/f 7:8' \
        'word/below/f 7:8' 'none/below/f 7:8' 'rec/below/f 5007:6008'; do
        grep -qx "$line" <<<"$output" || { echo "no $line in $output"; return 1; }
    done
    [ "$(stat -c %u:%g "$T/src/f")" = 7:8 ]
}

@test "idmap: with the word alone the maps are those of the container's user namespace" {
    user_ns
    idmappable "$T/src"
    touch "$T/src/f"
    chown 7:8 "$T/src/f"
    bind_mount /m/map "$T/src" bind idmap
    bind_mount /m/plain "$T/src" bind
    bind_mount /m/at "$T/src" bind 'idmap=uids=@0-0-100;gids=@0-0-100'
    run_mounts 'cd /m; stat -c "%n %u:%g" */f; touch map/new && stat -c "%n %u:%g" map/new'
    grep -qx 'map/f 7:8' <<<"$output"
    grep -qx 'at/f 7:8' <<<"$output"
    grep -qx 'plain/f 65534:65534' <<<"$output"
    [ "$(stat -c %u:%g "$T/src/new")" = 0:0 ]
    config '.linux.namespaces -= [{ type: "user" }] | del(.linux.uidMappings, .linux.gidMappings)'
    refused 'mounts[7] (/m/map)' 'no user namespace'
}

@test "idmap: one kind of maps without the other is refused" {
    config '.mounts += [{ destination: "/m", type: "none", source: "/tmp", options: ["bind", "idmap"],
        gidMappings: [{ containerID: 0, hostID: 0, size: 1 }] }]'
    refused 'mounts[7]' both
}

# ------------------------------------------------------------------------------------------------------------------- file systems

@test "tmpfs: mode, size and ro; without mode= the directory that is covered gives it" {
    mkdir -m 1770 "$BUNDLE/rootfs/had"
    chown 3:4 "$BUNDLE/rootfs/had"
    add_mount /had tmpfs tmpfs size=1m
    add_mount /new tmpfs tmpfs
    add_mount /given tmpfs tmpfs mode=0711,size=64k,nr_inodes=10
    add_mount /given/below tmpfs tmpfs
    add_mount /given tmpfs tmpfs ro mode=700 size=64k
    add_mount /had/below tmpfs tmpfs
    run_mounts 'cd /; stat -c "%n %a" had new given; touch given/x 2>&1; df -k had | tail -n 1'
    for line in 'had 1770' 'new 1777' 'given 700'; do grep -qx "$line" <<<"$output" || { echo "no $line in $output"; return 1; }; done
    [[ "$output" == *'given/x: Read-only'*1024* ]]
    has /given ro
}

@test "tmpfs: a read-only one still gets the mount points below it" {
    add_mount /m tmpfs tmpfs ro
    add_mount /m/deep/below tmpfs tmpfs
    run_mounts 'touch /m/x 2>&1; touch /m/deep/below/x && echo written'
    [[ "$output" == *'Read-only'*written* ]]
}

@test "tmpfs: tmpcopyup starts with the files of the directory it covers, and leaves the image alone" {
    local d=$BUNDLE/rootfs/var
    mkdir -m 0750 "$d/sub"
    echo text >"$d/sub/file"
    chmod 4711 "$d/sub/file"
    chown 3:4 "$d/sub"
    ln -s /etc/passwd "$d/link"
    mkfifo "$d/fifo"
    add_mount /var tmpfs tmpfs tmpcopyup
    add_mount /fresh tmpfs tmpfs tmpcopyup
    run_mounts 'cd /var; stat -c "%n %F %a %u:%g" sub sub/file fifo; readlink link; cat sub/file; echo changed >sub/file; rm link'
    for line in 'sub directory 750 3:4' 'sub/file regular file 4711 0:0' 'fifo fifo 644 0:0' /etc/passwd text; do
        grep -qx "$line" <<<"$output" || { echo "no $line in $output"; return 1; }
    done
    [ "$(cat "$d/sub/file")" = text ]
    [ -L "$d/link" ]
}

@test "mqueue and shm belong to the container's ipc namespace" {
    add_mount /m tmpfs shm mode=1777
    args /probe open /dev/mqueue/x r , statfs /dev/mqueue
    put_mounts
    touch "/dev/shm/$TOKEN"
    run_container
    rm "/dev/shm/$TOKEN"
    [ "$status" = 0 ]
    [[ "$output" == *'magic 0x19800202'* ]]
    run_mounts 'ls -A /dev/shm /dev/mqueue'
    [ "$(fs_type /dev/mqueue)" = mqueue ]
    [[ "$output" != *"$TOKEN"* ]]
}

@test "sysfs: of the container's network namespace; with the host's network it is the host's; in a user namespace with it a read-only view" {
    run_mounts 'ls /sys/class/net'
    [ "$(fs_type /sys)" = sysfs ]
    [ "$(tail -n 1 <<<"$output")" = lo ]
    config '.linux.namespaces -= [{ type: "network" }]'
    run_mounts 'ls /sys/class/net | wc -l'
    [ "$(tail -n 1 <<<"$output")" = "$(find /sys/class/net -mindepth 1 | wc -l)" ]
    user_ns
    config '.mounts |= map(select(.destination != "/sys/fs/cgroup"))'
    run_mounts 'touch /sys/kernel/x 2>&1; mount -o remount,bind,rw /sys 2>&1; ls /sys/class/net | wc -l'
    [ "$(fs_type /sys)" = sysfs ]
    has /sys ro
    run ! awk '$5 ~ "^/sys" && $6 ~ "^rw" { found = 1 } END { exit !found }' <<<"$output"
}

@test "sysfs: in a user namespace with a network namespace of its own" {
    user_ns
    run_mounts 'ls /sys/class/net'
    [ "$(fs_type /sys)" = sysfs ]
    [ "$(tail -n 1 <<<"$output")" = lo ]
}

@test "proc: hidepid and subset take effect" {
    config '.mounts[0].options = ["hidepid=invisible", "subset=pid", "nosuid"]'
    run_mounts 'ls -d /proc/1 /proc/sys /proc/cpuinfo 2>&1'
    [[ "$(sb_options /proc)" == *hidepid=invisible* ]]
    [[ "$(sb_options /proc)" == *subset=pid* ]]
    [ "$(grep -c 'No such file' <<<"$output")" = 2 ]
    has /proc nosuid
}

@test "overlay: as a type, with host paths in its options, long lists of layers too" {
    local layers='' i
    mkdir -p "$T"/{upper,work}
    for i in $(seq 1 30); do
        mkdir "$T/l$i"
        echo "$i" >"$T/l$i/f$i"
        echo "$i" >"$T/l$i/top"
        layers+=":$T/l$i"
    done
    add_mount /long overlay overlay "lowerdir=${layers#:}" "upperdir=$T/upper" "workdir=$T/work"
    add_mount /short overlay overlay "lowerdir=$T/l1:$T/l2" ro
    put_mounts
    args true
    run_container
    [[ "$output" != *"before Linux 6.7"* ]] || skip "this kernel takes no long lists of layers, and drupe says so"
    run_mounts 'cat /long/f30 /long/top; echo x >/long/new; touch /short/x 2>&1'
    [ "$(fs_type /long)" = overlay ]
    [[ "$output" == *30*1*'Read-only'* ]]
    [ "$(cat "$T/upper/new")" = x ]
}

@test "unknown options are refused with the place in the config" {
    bind_mount /m "$T" bind nonsense
    refused 'mounts[7] (/m)' '"nonsense"'
    config 'del(.mounts[7])'
    add_mount /m tmpfs tmpfs nonsense=1
    refused 'mounts[7] (/m)' nonsense
    config 'del(.mounts[7])'
    add_mount /m nonsensefs none
    refused 'mounts[7] (/m)' '"nonsensefs"'
    config 'del(.mounts[7])'
    add_mount /m tmpfs tmpfs mode=9
    refused 'mounts[7] (/m)' mode
    config 'del(.mounts[7])'
    bind_mount /m "$T" bind tmpcopyup
    refused 'mounts[7] (/m)' tmpcopyup
}

@test "mounts are made in the order of the config" {
    host_tmpfs "$T/one"
    host_tmpfs "$T/two"
    touch "$T/one/one" "$T/two/two"
    bind_mount /m "$T/one" bind
    add_mount /m/below tmpfs tmpfs
    bind_mount /m "$T/two" bind
    bind_mount /n/below "$T/one" bind
    bind_mount /n "$T/two" bind
    run_mounts 'ls /m /n'
    [ "$(tail -n 5 <<<"$output" | xargs)" = '/m: two /n: two' ]
    [ -d "$T/one/below" ]
    [ ! -e "$T/two/below" ]
}

@test "a thousand mounts are made and leave no trace" {
    local i
    for i in $(seq 1000); do bind_mount "/m/$i" "$T" bind; done
    run_mounts
    [ "$(awk '$5 ~ "^/m/"' <<<"$output" | wc -l)" = 1000 ]
}
