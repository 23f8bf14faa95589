/*
 * The far end of the bridge, in the guest: runs what it is asked to, a thread for each command.
 * A command whose client is gone is killed. What a zygote stands ready for is begun by that.
 *
 *   server PORT [ZYGOTE.so PROGRAM...]
 */
#define _GNU_SOURCE
#include "wire.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define MOST_WORDS 4096

extern char **environ;

/* One command and its client; `end` can be read when it has ended, and gives its status where a zygote began it. */
struct run {
  int client, input, output, errors, end, is_copy;
  pid_t pid;
  char from_client[MOST], frame[5 + MOST];
  /* What the command has not taken yet of from_client. */
  uint32_t at, left;
};

static char **read_words(int fd) {
  uint32_t count, size;
  if (read_all(fd, &count, 4) < 0 || count == 0 || count > MOST_WORDS) return NULL;
  char **words = calloc(count + 1, sizeof *words);
  for (uint32_t n = 0; n < count; n++) {
    if (read_all(fd, &size, 4) < 0 || size > (1 << 20)) return NULL;
    words[n] = calloc(size + 1, 1);
    if (read_all(fd, words[n], size) < 0) return NULL;
  }
  return words;
}

static void drop_words(char **words) {
  for (char **word = words; word && *word; word++) free(*word);
  free(words);
}

/* Begun by a new program; 0 or what is wrong. */
static int spawn(pid_t *pid, char **words, char **with, const int files[3]) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t how;
  sigset_t usual;
  posix_spawn_file_actions_init(&actions);
  for (int n = 0; n < 3; n++) posix_spawn_file_actions_adddup2(&actions, files[n], n);
  posix_spawnattr_init(&how);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigdefault(&how, &usual);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  int failed = posix_spawnp(pid, words[0], &actions, &how, words, with);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&how);
  return failed;
}

/* Begun by the program's zygote: the connection to it, or -1 where there is none. */
static int copy(pid_t *pid, char **words, const int files[3]) {
  char bytes[MOST], control[CMSG_SPACE(3 * sizeof(int))] = {0};
  struct sockaddr_un there = {.sun_family = AF_UNIX};
  struct iovec from = {bytes, 0};
  struct msghdr message = {.msg_iov = &from, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (strlen(words[0]) > 16) return close(fd), -1;
  strcpy(there.sun_path + 1, words[0]);
  for (char **word = words; *word; word++) {
    size_t length = strlen(*word) + 1;
    if (from.iov_len + length > sizeof bytes) return close(fd), -1;
    memcpy(bytes + from.iov_len, *word, length);
    from.iov_len += length;
  }
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(3 * sizeof(int));
  memcpy(CMSG_DATA(head), files, 3 * sizeof(int));
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(words[0]));
  if (connect(fd, (struct sockaddr *)&there, length) == 0 && sendmsg(fd, &message, 0) > 0 &&
      read_all(fd, pid, sizeof *pid) == 0 && *pid > 0)
    return fd;
  close(fd);
  return -1;
}

static int start(struct run *run, char **words, int has_input) {
  int in[2] = {-1, -1}, out[2], err[2], failed = 0;
  if (has_input ? pipe2(in, O_CLOEXEC) : (in[0] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0) return errno;
  if (pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) return errno;
  const int files[3] = {in[0], out[1], err[1]};
  run->end = copy(&run->pid, words, files);
  run->is_copy = run->end >= 0;
  if (!run->is_copy) {
    failed = spawn(&run->pid, words, environ, files);
    run->end = failed ? -1 : (int)syscall(SYS_pidfd_open, run->pid, 0);
  }
  for (int n = 0; n < 3; n++) close(files[n]);
  run->input = in[1];
  run->output = out[0];
  run->errors = err[0];
  if (run->input >= 0) fcntl(run->input, F_SETFL, O_NONBLOCK);
  return failed;
}

static int status_of(struct run *run) {
  int status = 127 << 8;
  if (run->is_copy) read_all(run->end, &status, sizeof status);
  else while (waitpid(run->pid, &status, 0) < 0 && errno == EINTR);
  return status;
}

static void shut(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* Passes on what the command said; -1: the client is gone. */
static int pass(struct run *run, int *from, char type) {
  ssize_t got = read(*from, run->frame + 5, MOST);
  if (got < 0 && errno == EINTR) return 0;
  if (got <= 0) shut(from);
  return got > 0 ? send_frame(run->client, type, run->frame, (uint32_t)got) : 0;
}

/* Takes a frame of the client; -1: it is gone. */
static int hear(struct run *run) {
  int type = take_frame(run->client, run->from_client, &run->left);
  run->at = 0;
  if (type == DEAF) shut(&run->output);
  if (type == INPUT && run->left == 0) shut(&run->input);
  if (run->input < 0) run->left = 0;
  return type < 0 ? -1 : 0;
}

static void feed(struct run *run) {
  ssize_t wrote = write(run->input, run->from_client + run->at, run->left);
  if (wrote < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (wrote < 0) shut(&run->input);
  run->at += wrote < 0 ? 0 : (uint32_t)wrote;
  run->left = wrote < 0 ? 0 : run->left - (uint32_t)wrote;
}

/* Until the command has ended and all that it said is passed on; -1: the client is gone. */
static int serve(struct run *run) {
  int lives = 1;
  while (lives || run->output >= 0 || run->errors >= 0) {
    struct pollfd at[5] = {{run->client, run->left ? POLLRDHUP : POLLIN, 0},
                           {run->left ? run->input : -1, POLLOUT, 0},
                           {run->output, POLLIN, 0},
                           {run->errors, POLLIN, 0},
                           {lives ? run->end : -1, POLLIN, 0}};
    if (poll(at, 5, -1) < 0) continue;
    if (at[1].revents) feed(run);
    if (at[3].revents && pass(run, &run->errors, ERRORS) < 0) return -1;
    if (at[2].revents && pass(run, &run->output, OUTPUT) < 0) return -1;
    if (run->left && at[0].revents & (POLLRDHUP | POLLERR | POLLHUP)) return -1;
    if (!run->left && at[0].revents && hear(run) < 0) return -1;
    if (at[4].revents) lives = 0;
    /* What the command started and left running is not waited for. */
    if (!lives && !at[2].revents && !at[3].revents && poll(at + 2, 2, 0) == 0) break;
  }
  return 0;
}

static void *run_one(void *of) {
  struct run *run = calloc(1, sizeof *run);
  char **words, has_input;
  int status = 127 << 8, failed;
  run->client = (int)(intptr_t)of;
  run->input = run->output = run->errors = run->end = -1;
  words = read_words(run->client);
  if (words && read_all(run->client, &has_input, 1) == 0) {
    failed = start(run, words, has_input);
    if (failed) {
      int length = snprintf(run->frame + 5, MOST, "%s: %s\n", words[0], strerror(failed));
      send_frame(run->client, ERRORS, run->frame, (uint32_t)length);
    } else {
      memcpy(run->frame + 5, &run->pid, 4);
      send_frame(run->client, STARTED, run->frame, 4);
      if (serve(run) < 0) kill(run->pid, SIGKILL);
      shut(&run->output);
      shut(&run->input);
      status = status_of(run);
    }
    memcpy(run->frame + 5, &status, sizeof status);
    send_frame(run->client, END, run->frame, sizeof status);
    /* A close with bytes unread would take the last words away from the client. */
    shutdown(run->client, SHUT_WR);
    while (read(run->client, run->from_client, MOST) > 0);
  }
  drop_words(words);
  shut(&run->input);
  shut(&run->output);
  shut(&run->errors);
  shut(&run->end);
  close(run->client);
  free(run);
  return NULL;
}

static void pass_signal(int client) {
  uint32_t told[2];
  if (read_all(client, told, sizeof told) == 0) kill((pid_t)told[0], (int)told[1]);
  close(client);
}

static void start_zygotes(const char *library, char **programs) {
  const int files[3] = {0, 1, 2};
  setenv("LD_PRELOAD", library, 1);
  for (char **program = programs; *program; program++) {
    pid_t pid;
    char *words[] = {*program, NULL};
    if (spawn(&pid, words, environ, files)) perror(*program);
  }
  unsetenv("LD_PRELOAD");
}

int main(int count, char **words) {
  struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(count > 1 ? words[1] : "0"))};
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  pthread_attr_t how;
  signal(SIGPIPE, SIG_IGN);
  setenv("LC_ALL", "C", 1);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  keep_little(fd);
  if (bind(fd, (struct sockaddr *)&here, sizeof here) || listen(fd, 64)) return perror("server"), 1;
  pthread_attr_init(&how);
  pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&how, 256 * 1024);
  if (count > 2) start_zygotes(words[2], words + 3);
  for (;;) {
    char kind;
    pthread_t thread;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (client < 0) continue;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (read_all(client, &kind, 1) < 0) close(client);
    else if (kind == KILL) pass_signal(client);
    else if (pthread_create(&thread, &how, run_one, (void *)(intptr_t)client)) close(client);
  }
}
