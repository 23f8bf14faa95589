/*
 * What the two ends of the bridge say to each other, over one TCP connection for each command.
 *
 * The client begins with RUN, the number of words, each word with its length, and a byte that
 * says whether there is a standard input. Then frames go both ways: a type, a length (u32,
 * little-endian, as both ends are on one machine), bytes. A signal goes over a connection of its
 * own, KILL with process id and number, because a frame would wait behind what is not taken yet.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RUN = 'R', KILL = 'K' };
/* From the client: INPUT without bytes is its end, and DEAF says that nobody reads standard output any more. */
enum { INPUT = 'I', DEAF = 'D' };
/* From the guest. END holds the status of wait(2). */
enum { STARTED = 'P', OUTPUT = 'O', ERRORS = 'E', END = 'X' };

/* Bytes of a frame at most, and of each socket's buffers: a pipe holds as much, and no more shall be on the way. */
#define MOST 65536

static int write_all(int fd, const void *from, size_t length) {
  const char *bytes = from;
  while (length > 0) {
    ssize_t wrote = write(fd, bytes, length);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return -1;
    bytes += wrote;
    length -= (size_t)wrote;
  }
  return 0;
}

static int read_all(int fd, void *into, size_t length) {
  char *bytes = into;
  while (length > 0) {
    ssize_t got = read(fd, bytes, length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    bytes += got;
    length -= (size_t)got;
  }
  return 0;
}

/* `frame` has room for the 5 bytes before its `length` bytes. */
__attribute__((unused)) static int send_frame(int fd, char type, char *frame, uint32_t length) {
  frame[0] = type;
  memcpy(frame + 1, &length, sizeof length);
  return write_all(fd, frame, 5 + length);
}

/* The type of the next frame, whose bytes are put into `into`; -1: the other end is gone. */
__attribute__((unused)) static int take_frame(int fd, char *into, uint32_t *length) {
  char head[5];
  if (read_all(fd, head, sizeof head) < 0) return -1;
  memcpy(length, head + 1, sizeof *length);
  if (*length > MOST || read_all(fd, into, *length) < 0) return -1;
  return (unsigned char)head[0];
}

__attribute__((unused)) static void keep_little(int fd) {
  int most = MOST;
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &most, sizeof most);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &most, sizeof most);
}
