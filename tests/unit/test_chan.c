#include "base/chan.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static void error_arrives_as_the_peers_error(void)
{
	struct chan a, b;
	struct err sent, got;

	expect(chan_pair(&a, &b, &got) == 0);
	err_set(&sent, EPERM, "mount /proc");
	chan_send_error(&a, &sent);
	expect(chan_expect(&b, MSG_READY, NULL, 0, NULL, &got) == -EPERM);
	expect_str(got.text, "mount /proc");
	chan_close(&a);
	expect(chan_expect(&b, MSG_READY, NULL, 0, NULL, &got) == -EPIPE);
	chan_close(&b);
}

static void end_of_file_is_success_only_where_awaited(void)
{
	struct chan a, b;
	struct err e;
	size_t len;

	expect(chan_pair(&a, &b, &e) == 0);
	expect(chan_send(&a, MSG_EXEC, NULL, 0, -1, &e) == 0);
	chan_close(&a);
	expect(chan_expect(&b, MSG_EXEC, NULL, 0, NULL, &e) == 0);
	expect(chan_expect_or_eof(&b, MSG_NOTIFY_FD, NULL, 0, &len, NULL, &e) == 0);
	chan_close(&b);
}

static void error_after_exec_is_not_lost(void)
{
	struct chan a, b;
	struct err sent, e;
	size_t len;

	expect(chan_pair(&a, &b, &e) == 0);
	expect(chan_send(&a, MSG_EXEC, NULL, 0, -1, &e) == 0);
	err_set(&sent, EACCES, "exec: \"/x\": permission denied");
	chan_send_error(&a, &sent);
	chan_close(&a);
	expect(chan_expect(&b, MSG_EXEC, NULL, 0, NULL, &e) == 0);
	expect(chan_expect_or_eof(&b, MSG_NOTIFY_FD, NULL, 0, &len, NULL, &e) == -EACCES);
	expect_str(e.text, "exec: \"/x\": permission denied");
	chan_close(&b);
}

static void the_peers_reason_is_found_when_it_died_before_it_read(void)
{
	struct chan a, b;
	struct err sent, e;

	signal(SIGPIPE, SIG_IGN);
	for (int unread = 0; unread < 2; unread++) {
		expect(chan_pair(&a, &b, &e) == 0);
		if (unread)
			expect(chan_send(&b, MSG_GO, NULL, 0, -1, &e) == 0);
		err_set(&sent, EACCES, "join /x");
		chan_send_error(&a, &sent);
		chan_close(&a);
		if (unread)
			expect(chan_expect(&b, MSG_ROOTFS, NULL, 0, NULL, &e) == -EACCES);
		else
			expect(chan_send(&b, MSG_GO, NULL, 0, -1, &e) == -EACCES);
		expect_str(e.text, "join /x");
		expect(chan_send(&b, MSG_GO, NULL, 0, -1, &e) == -EPIPE);
		expect_str(e.text, "send message 4: Broken pipe");
		chan_close(&b);
	}
}

static void blame_needs_a_peer_that_died_and_told_why(void)
{
	struct chan a, b;
	struct err sent, e;

	expect(chan_pair(&a, &b, &e) == 0);
	err_set(&e, EIO, "mine");
	err_set(&sent, EACCES, "join /x");
	expect(chan_blame(&b, &e) == -EIO);
	chan_send_error(&a, &sent);
	expect(chan_blame(&b, &e) == -EIO); /* it lives: let it be asked */
	chan_close(&a);
	expect(chan_blame(&b, &e) == -EACCES);
	expect_str(e.text, "join /x");
	err_set(&e, EIO, "mine");
	expect(chan_blame(&b, &e) == -EIO);
	expect_str(e.text, "mine");
	chan_close(&b);
}

static void descriptor_is_passed_close_on_exec(void)
{
	struct chan a, b;
	struct err e;
	char what[8];
	int fd;

	expect(chan_pair(&a, &b, &e) == 0);
	expect(chan_send(&a, MSG_CONSOLE, "tty", 3, STDOUT_FILENO, &e) == 0);
	expect(chan_expect(&b, MSG_CONSOLE, what, sizeof(what), &fd, &e) == 3);
	expect(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
	chan_close(&a);
	chan_close(&b);
}

static void torn_and_oversized_messages_are_refused(void)
{
	struct chan a, b;
	struct err e;
	char big[MSG_DATA_MAX + 1] = "", small[4];

	expect(chan_pair(&a, &b, &e) == 0);
	expect(chan_send(&a, MSG_READY, big, sizeof(big), -1, &e) == -EMSGSIZE);
	expect(write(a.fd, "xyz", 3) == 3);
	expect(chan_expect(&b, MSG_READY, NULL, 0, NULL, &e) == -EPROTO);
	expect(write(a.fd, (uint32_t[]){ MSG_READY, 99 }, 8) == 8);
	expect(chan_expect(&b, MSG_READY, NULL, 0, NULL, &e) == -EPROTO);
	expect(chan_send(&a, MSG_READY, "12345", 5, -1, &e) == 0);
	expect(chan_expect(&b, MSG_READY, small, sizeof(small), NULL, &e) == -EMSGSIZE);
	expect(chan_send(&a, MSG_GO, NULL, 0, -1, &e) == 0);
	expect(chan_expect(&b, MSG_READY, NULL, 0, NULL, &e) == -EPROTO);
	chan_close(&a);
	chan_close(&b);
}

static char logged[128];

static void keep_record(void *ctx, enum log_level level, const char *text)
{
	(void)ctx;
	snprintf(logged, sizeof(logged), "%d %s", level, text);
}

static void log_records_pass_through_before_what_is_awaited(void)
{
	struct chan a, b;
	struct err e;
	struct log_sink mine = { .put = keep_record, .max = LOG_LEVEL_INFO };

	expect(chan_pair(&a, &b, &e) == 0);
	(void)log_set_sink(mine);
	chan_log_to(&a);
	log_warn("clipped %s", "CAP_X");
	log_debug("dropped at the source");
	(void)log_set_sink(mine);
	expect(chan_send(&a, MSG_READY, NULL, 0, -1, &e) == 0);
	expect(chan_expect(&b, MSG_READY, NULL, 0, NULL, &e) == 0);
	expect_str(logged, "1 clipped CAP_X");
	chan_close(&a);
	chan_close(&b);
}

TAP_MAIN(CASE(error_arrives_as_the_peers_error), CASE(end_of_file_is_success_only_where_awaited),
	 CASE(error_after_exec_is_not_lost), CASE(the_peers_reason_is_found_when_it_died_before_it_read),
	 CASE(blame_needs_a_peer_that_died_and_told_why), CASE(descriptor_is_passed_close_on_exec),
	 CASE(torn_and_oversized_messages_are_refused), CASE(log_records_pass_through_before_what_is_awaited))
