/* chan.h - typed messages between the runtime and a container's init
 *
 * The same messages cross a SOCK_SEQPACKET socketpair (OS backend) and a vsock stream (VM backend); the code on either end cannot
 * tell. Each side names the one type it is waiting for. MSG_LOG is handed to the logger and MSG_ERROR becomes the receiver's
 * error, whatever was awaited. End of file means that the peer died or, after MSG_EXEC, that it became the container's program.
 */
#pragma once
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum msg_type {
	MSG_ERROR = 1,  /* struct err; the sender is about to exit                                          */
	MSG_LOG,        /* level byte and text                                                              */
	MSG_STAGE,      /* stage -> runtime: int32 pid of init as the runtime sees it; pidfd of init         */
	MSG_GO,         /* runtime -> init: ids mapped, cgroup joined, limits and network set                */
	MSG_ROOTFS,     /* init  -> runtime: mounts done, root not yet entered                              */
	MSG_HOOKS_DONE, /* runtime -> init: createRuntime hooks have run                                    */
	MSG_CONSOLE,    /* init  -> runtime: descriptor of the terminal's master, name of the pty            */
	MSG_READY,      /* init  -> runtime: everything but the start is done                               */
	MSG_START,      /* runtime -> init: start                                                           */
	MSG_NOTIFY_FD,  /* init  -> runtime: int32 number of the seccomp listener in init's table, by write(2) */
	MSG_ACK,        /* runtime -> init: the descriptor was fetched                                      */
	MSG_EXEC,       /* init  -> runtime: execve is next; EOF now means success                          */
};

struct chan {
	int fd; /* owned */
};

#define MSG_DATA_MAX 4096 /* bytes of payload */

/* Makes a connected pair, close-on-exec. */
must_check int chan_pair(struct chan *a, struct chan *b, struct err *e);
void chan_close(struct chan *c);
#define auto_chan __attribute__((cleanup(chan_close)))

/* Sends one message; fd may be -1, otherwise it is passed along and stays the caller's. Never raises SIGPIPE. A message without a
 * descriptor goes by write(2), the only call that a seccomp profile may not hand to a listener. When the peer is gone: its own error,
 * if it sent one, or EPIPE. */
must_check int chan_send(struct chan *c, enum msg_type t, const void *data, size_t len, int fd, struct err *e);

/* Waits for a message of type t and returns its payload length. *fd (may be NULL) receives a passed descriptor (the caller's to
 * close) or -1. EPROTO another type came; EPIPE the peer exited; or the peer's own error. */
must_check int chan_expect(struct chan *c, enum msg_type t, void *data, size_t cap, int *fd, struct err *e);

/* Like chan_expect(), but the peer may also have ended or become another program: returns 1 with the message, 0 at end of file.
 * *len receives the payload length. */
must_check int chan_expect_or_eof(struct chan *c, enum msg_type t, void *data, size_t cap, size_t *len, int *fd, struct err *e);

/* Like chan_expect() for one of two types; returns the type that came. */
must_check int chan_expect_either(struct chan *c, enum msg_type t, enum msg_type other, struct err *e);

/* For a failure that the peer's death may be the cause of: when it has died and told why, *e becomes that. Returns -e->code. */
int chan_blame(struct chan *c, struct err *e);

/* Sends *report as MSG_ERROR, ignoring failure: the last act of a dying child. */
void chan_send_error(struct chan *c, const struct err *report);

/* Installs a log sink that sends records over c (kept by the caller). */
void chan_log_to(struct chan *c);
