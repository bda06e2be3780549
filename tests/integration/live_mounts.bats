#!/usr/bin/env bats
# shellcheck disable=SC2016 # jq programs, programs for the shells inside
# mounts add, mounts remove: into and out of a container that runs.
load helpers

setup() {
    begin_test
    setup_bundle
    ID=$(container_id)
    LIST=$BATS_TEST_TMPDIR/mounts.json
    SOURCE=$BATS_TEST_TMPDIR/source
    mkdir -p "$SOURCE/sub"
    echo host >"$SOURCE/file"
}

teardown() {
    drupe delete --force "$ID" >/dev/null 2>&1 || true
    end_test
    [ -z "${MAPPED-}" ] || rm -rf --one-file-system "$MAPPED"
}

up() {
    args /probe trap
    detached run --detach --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$@" "$ID"
}

list() { jq -n --arg s "$SOURCE" --arg id "$ID" "$@" >"$LIST"; }
add() { drupe mounts add "$ID" "$LIST"; }
remove() { drupe mounts remove "$ID" "$LIST"; }
inside() { drupe exec "$ID" "$@"; }
stopped() { [ "$(drupe state "$ID" | jq -r .status)" = stopped ]; }
table() { sed 's/^[0-9]* [0-9]* //; s/ - / /' "/proc/$(cat "$BATS_TEST_TMPDIR/pid")/mountinfo"; }

@test "mounts: a directory, a file and a tmpfs, with their options; and away again" {
    local before
    up
    before=$(table)
    list '[{ destination: "/mnt/dir", source: $s, options: ["rbind", "ro"] },
        { destination: "/mnt/file", source: ($s + "/file"), options: ["bind", "nosuid"] },
        { destination: "/scratch", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "size=64k", "mode=1777"] }]'
    run -0 add
    [ -z "$output" ]
    [ "$(inside /bin/cat /mnt/dir/file /mnt/file)" = $'host\nhost' ]
    run ! inside /bin/touch /mnt/dir/x
    [[ "$output" == *'Read-only file system'* ]]
    inside /bin/touch /scratch/x
    [ "$(inside /bin/stat -c %a /scratch)" = 1777 ]
    run ! inside /bin/dd if=/dev/zero of=/scratch/y bs=1k count=100
    inside /bin/rm /scratch/x /scratch/y
    grep ' /scratch .*nosuid,nodev' <<<"$(table)"
    run -0 remove
    [ "$(table)" = "$before" ]
    # What is gone cannot be removed again.
    run -1 remove
    [[ "$output" == *'has no mount at /scratch that `mounts add` put there' ]]
}

@test "mounts: all or none: nothing is left of a list that fails in its last entry" {
    local before tree
    up
    before=$(table)
    tree=$(cd "$BUNDLE/rootfs" && find . | sort)
    list '[{ destination: "/new/deep/dir", source: $s, options: ["bind"] }, { destination: "/new/file", source: ($s + "/file"), options: ["bind"] },
        { destination: "/t", type: "tmpfs", options: ["size=nonsense"] }]'
    run -1 --separate-stderr add
    [[ "$stderr" == 'drupe: mounts[2] (/t): '* ]]
    [ "${#stderr_lines[@]}" = 1 ]
    [ "$(table)" = "$before" ]
    [ "$(cd "$BUNDLE/rootfs" && find . | sort)" = "$tree" ]
    # A source that is missing, a word that is unknown: before anything is done.
    list '[{ destination: "/new", source: $s, options: ["bind"] }, { destination: "/newer", source: ($s + "/none"), options: ["bind"] }]'
    run -1 add
    [[ "$output" == "drupe: mounts[1] (/newer): $SOURCE/none: No such file or directory" ]]
    list '[{ destination: "/new", source: $s, options: ["bind", "frob=1"] }]'
    run -1 add
    [[ "$output" == 'drupe: mounts[0] (/new): '* ]]
    [ "$(table)" = "$before" ]
    [ "$(cd "$BUNDLE/rootfs" && find . | sort)" = "$tree" ]
    [ ! -e "$ROOT/$ID/mounts.json" ]
}

@test "mounts: refused are a root, a remount, a cgroup mount, what covers /proc, and no array" {
    up
    while read -r text why; do
        echo "$text" >"$LIST"
        run -1 --separate-stderr add
        [[ "$stderr" == *"$why"* ]] || { echo "$text: $stderr"; return 1; }
    done <<'END'
[{"destination":"/","type":"tmpfs"}] the processes that run keep the root they have
[{"destination":"/dev","options":["remount","ro","bind"]}] this is no mount that could be removed again
[{"destination":"/cg","type":"cgroup"}] a cgroup mount cannot be added later
[{"destination":"/proc","type":"tmpfs"}] /proc
[{"destination":"/proc/sys","type":"tmpfs"}] /proc
{"destination":"/x"} expected array
[{"source":"/x"}] destination
[{"destination":"/x"}]] line 1
END
}

@test "mounts: in use it stays; what the container itself has mounted there is not touched" {
    config '.process.capabilities[] += ["CAP_SYS_ADMIN"]'
    up
    list '[{ destination: "/mnt", source: $s, options: ["bind"] }]'
    add
    detached exec --detach --cwd /mnt --pid-file "$BATS_TEST_TMPDIR/other" "$ID" /bin/sleep 1000
    run -1 remove
    [[ "$output" == *'/mnt: '*busy ]]
    kill -KILL "$(cat "$BATS_TEST_TMPDIR/other")"
    inside /bin/mount -t tmpfs own /mnt
    wait_for 10 test ! -e "/proc/$(cat "$BATS_TEST_TMPDIR/other")/cwd"
    run -1 remove
    [[ "$output" == *'/mnt: something else is mounted there' ]]
    inside /bin/umount /mnt
    remove
    # One that the container has removed itself.
    add
    inside /bin/umount /mnt
    run -0 remove
    [ "$output" = 'drupe: warning: /mnt: the mount is gone already' ]
    run -1 remove
}

@test "mounts: two on one place come off in reverse; a link in the image stays inside" {
    mkdir "$BUNDLE/rootfs/real"
    ln -s /real "$BUNDLE/rootfs/link"
    ln -s ../../../../../../etc "$BUNDLE/rootfs/out"
    up
    list '[{ destination: "/link", source: $s, options: ["bind"] }]'
    add
    [ "$(inside /bin/cat /real/file)" = host ]
    list '[{ destination: "/link", type: "tmpfs" }]'
    add
    run ! inside /bin/cat /real/file
    list '[{ destination: "/link" }]'
    remove
    [ "$(inside /bin/cat /real/file)" = host ]
    remove
    run ! inside /bin/cat /real/file
    list '[{ destination: "/out/x", source: $s, options: ["bind"] }]'
    add
    [ "$(inside /bin/cat /etc/x/file)" = host ]
    [ ! -e /etc/x ]
    remove
}

@test "mounts: a user namespace: ids are the container's, flags of the host stay" {
    config '.linux.namespaces += [{ type: "user" }] | .linux.uidMappings = [{ containerID: 0, hostID: 100000, size: 65536 }]
        | .linux.gidMappings = .linux.uidMappings'
    chown -hR 100000:100000 "$BUNDLE/rootfs"
    chmod 0711 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$BUNDLE"
    up
    # Where /tmp is a tmpfs, an older kernel cannot map the ids of what is there.
    MAPPED=$(mktemp -d -p /var/tmp live_mounts.XXXXXX)
    mv "$SOURCE/file" "$MAPPED"
    SOURCE=$MAPPED
    list '[{ destination: "/t", type: "tmpfs", options: ["mode=0700"] }, { destination: "/m", source: $s, options: ["bind", "idmap"] },
        { destination: "/p", type: "proc" }]'
    run add
    if [ "$status" != 0 ] && [[ "$output" == *'does its file system support it'* ]]; then skip 'no id mapped mounts of this file system'; fi
    echo "$output"
    [ "$status" = 0 ]
    [ "$(inside /bin/stat -c %u /t)" = 0 ]
    [ "$(inside /bin/stat -c %u /m/file)" = 0 ]
    [ "$(inside /bin/cat /p/1/comm)" = probe ]
    remove
}

@test "mounts: a created container, and one without a root of its own by --no-pivot; not a paused or a stopped one" {
    args /bin/sh -c 'cat /mnt/file >/seen; sleep 1000'
    detached create --bundle "$BUNDLE" --pid-file "$BATS_TEST_TMPDIR/pid" "$ID"
    list '[{ destination: "/mnt", source: $s, options: ["bind"] }]'
    add
    detached start "$ID"
    wait_for 10 test -s "$BUNDLE/rootfs/seen"
    [ "$(cat "$BUNDLE/rootfs/seen")" = host ]
    drupe pause "$ID"
    run -1 remove
    [ "$output" = "drupe: container \"$ID\" is paused: nobody can enter it" ]
    drupe resume "$ID"
    drupe kill "$ID" KILL
    wait_for 10 stopped
    run -1 remove
    [[ "$output" == *'container not running (it is stopped)' ]]
    drupe delete "$ID"
    up --no-pivot
    add
    [ "$(inside /bin/cat /mnt/file)" = host ]
    remove
}

many() { table | grep -c ' /many/'; }
known() { jq '.mounts | length' "$ROOT/$ID/mounts.json" 2>/dev/null || echo 0; }
none() { [ "$(many)" = 0 ]; }
all_known() { [ "$(many)" -le "$(known)" ]; }

@test "mounts: killed at any moment, add leaves no mount that the state does not know" {
    local delay
    up
    list '[range(8) | { destination: "/many/\(.)", source: $s, options: ["bind"] }]'
    for delay in 000 002 004 006 008 010 012 015 020 030 040 060; do
        # timeout(1) kills the whole process group.
        (timeout -s KILL "0.$delay" "$RUNTIME" --root "$ROOT" mounts add "$ID" "$LIST" || true) >/dev/null 2>&1 3>&-
        # What is inside goes by itself, and takes back what nobody has noted.
        wait_for 10 all_known
        while [ "$(known)" != 0 ]; do remove; done
        wait_for 10 none
    done
}
