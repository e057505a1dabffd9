/* Sends mail for a while, over many sessions at once, and says how many messages a second were taken, and how fast.
 *
 * usage: smtpload PORT [-s SESSIONS] [-w SECONDS] [-l LENGTH] [-k] [-t RECIPIENT] [-x CLASS] [-a LOGIN]
 *
 * -k keeps each connection for all its messages; -x ends each session after RCPT, whose reply must be of this class
 * ("5": refused); -a is the base64 of AUTH PLAIN. After SECONDS nothing new is begun; what is begun is finished.
 * The latency is that of a session from connect to 221, with -k that of a message from MAIL to the reply to its dot.
 * Any other reply than the expected ends the program with status 1 and its words. For measuring on loopback. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { GREETING, EHLO, AUTH, MAIL, RCPT, DATA, MESSAGE, QUIT };
static const char *const names[] = {"greeting", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "message", "QUIT"};

enum { PIECE = 262144, REPLY = 16384, SILENCE_MS = 30000 };

struct session {
    int fd, length;
    enum state state; /* whose reply is awaited */
    size_t sent;      /* octets of the message */
    double begun;
    char reply[REPLY];
};

static int port, keep, sessions = 1, poller;
static double seconds = 1, until;
static size_t length = 1024, body_length;
static const char *recipient = "rcpt@example.com", *login = "", *ends_at_rcpt = "";
static char *body;
static double *latencies;
static size_t done, room;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *where, const char *what) {
    fprintf(stderr, "smtpload: %s: %.300s\n", where, what);
    exit(1);
}

static void say(struct session *session, enum state state, const char *format, const char *argument) {
    char line[1024];
    int size = snprintf(line, sizeof line, format, argument);
    session->state = state;
    if (write(session->fd, line, size) != size) fail(names[state], strerror(errno));
}

static void watch(struct session *session, int operation, unsigned events) {
    struct epoll_event event = {.events = events, .data.ptr = session};
    epoll_ctl(poller, operation, session->fd, &event);
}

static void begin(struct session *session) {
    int on = 1;
    struct sockaddr_in address = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {0}};
    *session = (struct session){.fd = socket(AF_INET, SOCK_STREAM, 0), .begun = now()};
    setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(session->fd, (void *)&address, sizeof address)) fail("connect", strerror(errno));
    fcntl(session->fd, F_SETFL, O_NONBLOCK);
    watch(session, EPOLL_CTL_ADD, EPOLLIN);
}

static void send_message(struct session *session) {
    while (session->sent < body_length) {
        size_t size = body_length - session->sent;
        ssize_t sent = write(session->fd, body + session->sent, size < PIECE ? size : PIECE);
        if (sent < 0 && errno != EAGAIN) fail(names[MESSAGE], strerror(errno));
        if (sent < 0) { watch(session, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT); return; }
        session->sent += sent;
    }
    watch(session, EPOLL_CTL_MOD, EPOLLIN);
}

static void count(struct session *session) {
    if (done == room) latencies = realloc(latencies, (room = room * 2 + 1024) * sizeof *latencies);
    latencies[done++] = now() - session->begun;
}

static void next_or_quit(struct session *session) {
    if (keep) count(session);
    if (!keep || now() >= until) { say(session, QUIT, "QUIT\r\n", ""); return; }
    session->begun = now();
    say(session, MAIL, "MAIL FROM:<sender@example.com>\r\n", "");
}

/* Goes one step on after the reply that was awaited; returns whether the session is over. */
static int step(struct session *session) {
    switch (session->state) {
    case GREETING: say(session, EHLO, "EHLO client.example.com\r\n", ""); break;
    case EHLO:
        if (*login) { say(session, AUTH, "AUTH PLAIN %s\r\n", login); break; } /* fall through */
    case AUTH:
        if (keep) session->begun = now();
        say(session, MAIL, "MAIL FROM:<sender@example.com>\r\n", "");
        break;
    case MAIL: say(session, RCPT, "RCPT TO:<%s>\r\n", recipient); break;
    case RCPT:
        if (*ends_at_rcpt) next_or_quit(session);
        else say(session, DATA, "DATA\r\n", "");
        break;
    case DATA: session->state = MESSAGE; session->sent = 0; send_message(session); break;
    case MESSAGE: next_or_quit(session); break;
    case QUIT: return 1;
    }
    return 0;
}

static void check(struct session *session, const char *line) {
    char expected = session->state == DATA ? '3' : session->state == RCPT && *ends_at_rcpt ? *ends_at_rcpt : '2';
    if (line[0] != expected) fail(names[session->state], line);
}

/* Reads what has come and goes on after each whole reply; returns whether the session is over. */
static int hear(struct session *session) {
    ssize_t size = read(session->fd, session->reply + session->length, REPLY - 1 - session->length);
    if (size <= 0 && session->state == QUIT) return 1;
    if (size <= 0) fail(names[session->state], size ? strerror(errno) : "the connection was closed");
    session->length += size;
    char *line = session->reply, *end = line + session->length, *newline;
    while ((newline = memchr(line, '\n', end - line))) {
        *newline = 0;
        check(session, line);
        if (line[3] != '-' && step(session)) return 1;
        line = newline + 1;
    }
    session->length = end - line;
    memmove(session->reply, line, session->length);
    return 0;
}

/* Returns whether the session stays open, or a new one has taken its place. */
static int turn(struct session *session, unsigned events) {
    if (events & EPOLLOUT) send_message(session);
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)) || !hear(session)) return 1;
    close(session->fd);
    if (!keep) count(session);
    if (now() >= until) return 0;
    begin(session);
    return 1;
}

static void make_message(void) {
    static const char head[] = "From: <sender@example.com>\r\nTo: <rcpt@example.com>\r\nSubject: load\r\n"
                               "Message-Id: <load@client.example.com>\r\nDate: Tue, 24 Nov 2026 12:00:00 +0000\r\n\r\n";
    size_t head_length = sizeof head - 1;
    body = malloc(head_length + length + 8);
    memcpy(body, head, head_length);
    memset(body + head_length, 'x', length);
    for (size_t i = 80; i <= length; i += 80) memcpy(body + head_length + i - 2, "\r\n", 2);
    memcpy(body + head_length + length, "\r\n.\r\n", 5);
    body_length = head_length + length + 5;
}

static void read_options(int argc, char **argv) {
    int option;
    if (argc < 2) fail("usage", "smtpload PORT [options]");
    port = atoi(argv[1]);
    optind = 2;
    while ((option = getopt(argc, argv, "s:w:l:kt:x:a:")) != -1) switch (option) {
        case 's': sessions = atoi(optarg); break;
        case 'w': seconds = atof(optarg); break;
        case 'l': length = atol(optarg); break;
        case 'k': keep = 1; break;
        case 't': recipient = optarg; break;
        case 'x': ends_at_rcpt = optarg; break;
        case 'a': login = optarg; break;
        default: exit(2);
    }
}

static int by_size(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void report(double took) {
    if (!done) fail("end", "no message went through");
    qsort(latencies, done, sizeof *latencies, by_size);
    printf("{\"messages\": %zu, \"seconds\": %.6f, \"p50_ms\": %.4f, \"p99_ms\": %.4f}\n", done, took,
           latencies[done / 2] * 1e3, latencies[done * 99 / 100] * 1e3);
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    make_message();
    poller = epoll_create1(0);
    struct session *all = calloc(sessions, sizeof *all);
    struct epoll_event events[64];
    double start = now();
    until = start + seconds;
    for (int i = 0; i < sessions; i++) begin(&all[i]);
    for (int open = sessions; open > 0;) {
        int ready = epoll_wait(poller, events, 64, SILENCE_MS);
        if (ready == 0) fail("wait", "30 s without a sign of life");
        for (int i = 0; i < ready; i++) open -= !turn(events[i].data.ptr, events[i].events);
    }
    report(now() - start);
}
