/* control.h - what commands ask of the supervisor of a container in a virtual machine, over control.sock in its state directory
 *
 * One packet a question, one an answer: OK or ERROR. After the OK to an EXEC the connection is that process's: SIGNAL and WINSIZE are for it,
 * EXIT tells its end, and when the connection ends before, it is killed. After the OK to EVENTS an OOM comes each time that the container runs
 * out of memory. Both ends are programs of ours; the directory is 0700.
 */
#pragma once
#include "base/err.h"

#include <stdint.h>

enum control_type { CONTROL_EXEC = 1, CONTROL_SIGNAL, CONTROL_WINSIZE, CONTROL_PS, CONTROL_PAUSE, CONTROL_RESUME, CONTROL_STATS, CONTROL_EVENTS, CONTROL_UPDATE, CONTROL_OK = 32, CONTROL_ERROR, CONTROL_EXIT, CONTROL_OOM };
enum { CONTROL_FDS_MAX = 4, CONTROL_DATA_MAX = 32768 };

/* a and b: EXEC: a is the set of its streams (proto/message.h); fds are its encoded plan and then the streams. SIGNAL: a is its number;
 * b: of all processes. UPDATE: fds are the resources to be changed and those so far, as JSON, of the guest.
 * WINSIZE: rows and columns. OK of EXEC: a is a pid of the guest's. OK of PS: data is text. OK of STATS: data is the guest's cgroup_stats, encoded (base/codec.h). ERROR: data is a struct err. EXIT: a is the status. */
struct control_packet {
	uint32_t type;
	int32_t a, b;
	uint32_t len; /* of data */
	unsigned char data[CONTROL_DATA_MAX];
};

must_check int control_listen(int dir_fd, struct err *e);
must_check int control_connect(int dir_fd, struct err *e);

/* Sends without blocking for ever: an end that does not read for a second is gone. fds are borrowed. */
must_check int control_send(int fd, const struct control_packet *p, const int *fds, unsigned n_fds, struct err *e);

/* 1 a packet, 0 the end. fds: CONTROL_FDS_MAX of them, -1 where there is none; the caller's to close. Blocks. */
must_check int control_receive(int fd, struct control_packet *p, int *fds, struct err *e);

/* Sends and waits for OK; an ERROR is a failure. *p becomes the answer. ENOLINK: there is nobody to answer. */
must_check int control_ask(int fd, struct control_packet *p, const int *fds, unsigned n_fds, struct err *e);
