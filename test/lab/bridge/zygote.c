/*
 * Loaded before a dynamically linked program (LD_PRELOAD), it stops it where its own code would
 * begin, and lets copies of it begin there: what runs is the program itself, without the cost of
 * loading twenty libraries each time, which is most of a short `zfs` on an emulated machine.
 *
 * It listens on the abstract unix socket named as the program: a message with the words, each
 * ended by a zero, and three files; the answers are a process id, and at the end the status of wait(2).
 */
#define _GNU_SOURCE
#include "wire.h"
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#define MOST_AT_ONCE 256

extern char **environ;

typedef int begin(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);

/* Copies that run, and who waits for each. */
static struct { pid_t pid; int client; } copies[MOST_AT_ONCE];

static int take(int client, char *words, size_t *length, int files[3]) {
  char control[CMSG_SPACE(3 * sizeof(int))];
  struct iovec into = {words, MOST};
  struct msghdr message = {.msg_iov = &into, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t got = recvmsg(client, &message, MSG_CMSG_CLOEXEC);
  struct cmsghdr *head = CMSG_FIRSTHDR(&message);
  if (got <= 0 || !head || head->cmsg_type != SCM_RIGHTS) return -1;
  memcpy(files, CMSG_DATA(head), 3 * sizeof(int));
  *length = (size_t)got;
  return 0;
}

static void tell_ends(void) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
    for (int n = 0; n < MOST_AT_ONCE; n++)
      if (copies[n].pid == pid) {
        write_all(copies[n].client, &status, sizeof status);
        close(copies[n].client);
        copies[n].pid = 0;
      }
}

/* In the copy: the words with the environment behind them, as the kernel puts them for a program's start. */
static char **words_of(char *bytes, size_t length, int *count) {
  size_t room = 8;
  for (char **each = environ; *each; each++) room++;
  for (size_t n = 0; n < length; n++) room += bytes[n] == 0;
  char **words = calloc(room, sizeof *words), **at = words;
  for (size_t from = 0; from < length; from += strlen(bytes + from) + 1) *at++ = bytes + from;
  *count = (int)(at++ - words);
  for (char **each = environ; *each; each++) *at++ = *each;
  return words;
}

/* Comes back in each copy, with its words. */
static char **serve(const char *name, int *count) {
  static char bytes[MOST];
  struct sockaddr_un here = {.sun_family = AF_UNIX};
  int door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), ends, files[3];
  size_t length;
  sigset_t child, before;
  strncpy(here.sun_path + 1, name, sizeof here.sun_path - 2);
  if (bind(door, (struct sockaddr *)&here, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))) || listen(door, 64)) {
    perror("zygote");
    _exit(1);
  }
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, &before);
  ends = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  for (;;) {
    struct pollfd at[2] = {{door, POLLIN, 0}, {ends, POLLIN, 0}};
    struct signalfd_siginfo told;
    int client, n = 0;
    poll(at, 2, -1);
    if (at[1].revents) {
      while (read(ends, &told, sizeof told) > 0);
      tell_ends();
    }
    if (!at[0].revents || (client = accept4(door, NULL, NULL, SOCK_CLOEXEC)) < 0) continue;
    while (n < MOST_AT_ONCE && copies[n].pid) n++;
    if (n == MOST_AT_ONCE || take(client, bytes, &length, files) < 0) {
      close(client);
      continue;
    }
    pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      for (int file = 0; file < 3; file++) dup2(files[file], file);
      sigprocmask(SIG_SETMASK, &before, NULL);
      signal(SIGPIPE, SIG_DFL);
      close(door);
      close(ends);
      close(client);
      for (int other = 0; other < MOST_AT_ONCE; other++) if (copies[other].pid) close(copies[other].client);
      for (int file = 0; file < 3; file++) close(files[file]);
      return words_of(bytes, length, count);
    }
    for (int file = 0; file < 3; file++) close(files[file]);
    copies[n].pid = pid;
    copies[n].client = client;
    write_all(client, &pid, sizeof pid);
  }
}

int __libc_start_main(int (*main)(int, char **, char **), int count, char **words, void (*init)(void), void (*fini)(void),
                      void (*linker_fini)(void), void *stack) {
  begin *next = (begin *)dlsym(RTLD_NEXT, "__libc_start_main");
  unsetenv("LD_PRELOAD");
  words = serve(words[0], &count);
  return next(main, count, words, init, fini, linker_fini, stack);
}
