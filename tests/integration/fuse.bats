#!/usr/bin/env bats
# shellcheck disable=SC2016 # texts for inner shells
# The file server of VM mode, without a virtual machine: this machine's kernel is the client. What passes on a plain directory must pass
# through the server, and what leads out of the share must not.
load helpers

PROGRAMS=$(dirname "$PROBE")

setup() {
    begin_test
    [ -c /dev/fuse ] || skip "no /dev/fuse"
    # On a disk: before Linux 6.6, positions in a directory of a tmpfs do not outlive a removal.
    SHARE=$(mktemp -d -p /var/tmp fuse.XXXXXX) AT=$BATS_TEST_TMPDIR/at
    chmod 755 "$SHARE"
    mkdir "$AT"
}

teardown() {
    end_test
    [ -z "${SHARE-}" ] || rm -rf --one-file-system "$SHARE"
}

# served OPTION... -- COMMAND...: COMMAND with the share mounted at $AT
served() {
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    run timeout --foreground -k 5 $((${SERVED_TIMEOUT:-120} * ${DRUPE_SLOW:-1})) "$PROGRAMS/fuse_mount" "${options[@]}" "$SHARE" "$AT" "$@" 3>&-
}

passed() {
    grep '^not ok\|^#' <<<"$output" || true
    [ "$status" = 0 ]
    [ "$(grep -c '^ok' <<<"$output")" -gt 40 ]
}

@test "the POSIX suite passes on a plain directory" {
    run "$PROGRAMS/posix_suite" "$SHARE"
    passed
}

@test "the POSIX suite passes through the server, nothing cached" {
    served --cache none -- "$PROGRAMS/posix_suite" "$AT"
    passed
}

@test "the POSIX suite passes through the server, cached for a second" {
    served --cache auto -- "$PROGRAMS/posix_suite" "$AT"
    passed
}

@test "the POSIX suite passes through the server, cached without end and written late" {
    served --cache always -- "$PROGRAMS/posix_suite" "$AT"
    passed
}

@test "a hundred thousand files at once, with four thousand descriptors at most" {
    UNMOUNT+=("$SHARE")
    mount -t tmpfs -o mode=755 tmpfs "$SHARE"
    ulimit -n 4100
    SERVED_TIMEOUT=280 served --cache always -- "$PROGRAMS/posix_suite" --stress "${DRUPE_STRESS_FILES:-100000}" "$AT"
    [ "$status" = 0 ]
    [[ "$output" == *"inodes: "* ]]
}

@test "a read-only share stays as it is, whatever root does" {
    echo kept >"$SHARE/file"
    served --ro -- sh -c 'cat "$1/file"; echo gone >"$1/file"; rm -f "$1/file"; touch "$1/new"; mount -o remount,rw "$1"; rm -f "$1/file"' sh "$AT"
    [[ "${lines[0]}" == kept ]]
    [ "$(cat "$SHARE/file")" = kept ]
    [ "$(ls -A "$SHARE")" = file ]
}

@test "a symbolic link leads where the client's root says, never through the server" {
    echo secret >"$BATS_TEST_TMPDIR/secret"
    ln -s ../secret "$SHARE/up"
    ln -s /etc/hostname "$SHARE/abs"
    served -- sh -c 'readlink "$1/up" "$1/abs"; cd "$1" && ls' sh "$AT"
    [ "${lines[0]}" = ../secret ]
    [ "${lines[1]}" = /etc/hostname ]
}

@test "what the host changes is seen after a second when others may write" {
    echo one >"$SHARE/file"
    served --cache auto -- sh -c 'cat "$1/file"; echo two and more >"$2/file"; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ "$(cat "$1/file")" = "two and more" ] && echo seen && exit; sleep 0.2; done' sh "$AT" "$SHARE"
    [ "${lines[0]}" = one ]
    [[ "$output" == *seen* ]]
}

@test "a program runs, compiles and is packed from the share" {
    command -v gcc >/dev/null || skip "no gcc"
    printf '#include <stdio.h>\nint main(void){puts("made in the share");return 0;}\n' >"$SHARE/a.c"
    served --cache always -- sh -c 'cd "$1" && gcc -o a a.c && ./a && tar cf t.tar a a.c && mkdir u && tar xf t.tar -C u && u/a && cmp a u/a' sh "$AT"
    [ "$status" = 0 ]
    [ "${lines[0]}" = "made in the share" ]
    [ "${lines[1]}" = "made in the share" ]
}
