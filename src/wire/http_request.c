/* The life of one request: it is read, held by the handler, answered, streamed or left; see
 * http.h.
 *
 * A request is freed in one place, where libmicrohttpd says that it is done with it. Answers
 * that come while the connection is suspended are kept until libmicrohttpd asks again after the
 * resume. */
#include "wire/http_inside.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

enum {
    DISCARD_MAX = 16 << 20, /* bytes of a too large body read to be able to answer */
    STREAM_BLOCK = 8 << 10,
};

struct http_page {
    struct MHD_Response *response;
    int status;
    unsigned refs;
};

static struct MHD_Response *json_response(char *body, size_t size)
{
    struct MHD_Response *m = MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);
    if (!m) {
        free(body);
        return NULL;
    }
    if (MHD_add_response_header(m, "Content-Type", "application/json") != MHD_YES ||
        MHD_add_response_header(m, "Fetta-Version", FETTA_VERSION) != MHD_YES) {
        MHD_destroy_response(m);
        return NULL;
    }
    return m;
}

struct MHD_Response *http_request_error(enum error_code code, const char *text)
{
    char plain[ERROR_TEXT];
    json_t *said = json_string(text);
    if (!said) { /* not UTF-8: somebody's bytes quoted in the text */
        str_copy(plain, sizeof plain, text);
        for (char *p = plain; *p; p++)
            *p = (unsigned char)*p < 0x80 ? *p : '?';
        said = json_string(plain);
    }
    json_t *tree = json_pack("{s:{s:s, s:o}}", "error", "code", error_wire(code), "text", said);
    char *body = tree ? json_dumps(tree, JSON_COMPACT) : NULL;
    json_decref(tree);
    return body ? json_response(body, strlen(body)) : NULL;
}

static void unwatch(struct http_request *r)
{
    if (r->watched)
        epoll_ctl(r->server->epoll, EPOLL_CTL_DEL, r->fd, NULL);
    r->watched = false;
}

static bool watch(struct http_request *r)
{
    struct epoll_event e = {.events = EPOLLRDHUP, .data.u64 = (uintptr_t)r};
    r->watched = r->watched || epoll_ctl(r->server->epoll, EPOLL_CTL_ADD, r->fd, &e) == 0;
    return r->watched;
}

void http_request_resume(struct http_request *r)
{
    struct http_server *s = r->server;
    if (!r->suspended)
        return;
    MHD_resume_connection(r->connection);
    r->suspended = false;
    /* Without threads of its own libmicrohttpd does not wake its descriptor for this. */
    if (!s->running && !s->woken)
        s->woken = eventfd_write(s->wake, 1) == 0;
}

/* Whether the handler still has a word to say. */
static bool open_still(const struct http_request *r)
{
    return r->state == STATE_HELD || r->state == STATE_STREAM;
}

/* Moves between states and keeps count of those that wait. */
static void enter(struct http_request *r, enum http_state state)
{
    bool before = open_still(r);
    r->state = state;
    r->server->waiting += (unsigned)open_still(r) - (unsigned)before;
}

void http_request_gone(struct http_request *r)
{
    struct http_server *s = r->server;
    unwatch(r);
    bool tell = open_still(r) && !s->stopping;
    enter(r, STATE_GONE);
    if (tell)
        s->handler.closed(s->arg, r);
}

/* Takes over one reference of `m`; NULL stands for no memory. */
static void answer(struct http_request *r, int status, struct MHD_Response *m)
{
    r->response = m;
    r->status = m ? status : error_http(ERROR_NO_MEMORY);
    if (r->state != STATE_READING)
        unwatch(r);
    enter(r, STATE_ANSWERED);
    http_request_resume(r);
}

static void drop_response(struct http_request *r)
{
    if (r->page)
        http_page_unref(r->page);
    else if (r->response)
        MHD_destroy_response(r->response);
    r->response = NULL;
    r->page = NULL;
}

static enum MHD_Result queue(struct http_request *r)
{
    struct MHD_Response *m = r->response ? r->response : r->server->no_memory;
    enum MHD_Result rc = MHD_queue_response(r->connection, (unsigned)r->status, m);
    drop_response(r);
    return rc;
}

static void refuse(struct http_request *r, int status, const char *text)
{
    answer(r, status, http_request_error(ERROR_INVALID, text));
}

/* ---- the life of a request, as libmicrohttpd tells it ---- */

static struct http_request *new_request(struct http_server *s, struct MHD_Connection *connection)
{
    struct http_request *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->server = s;
    r->connection = connection;
    r->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(r->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
        free(r);
        return NULL;
    }
    r->peer = (struct http_peer){.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
    r->next = s->first;
    r->at = &s->first;
    if (r->next)
        r->next->at = &r->next;
    s->first = r;
    return r;
}

/* The head is in: what is wrong already is answered without reading the body. */
static enum MHD_Result begin(struct http_request *r, const char *url, const char *method)
{
    r->path = url;
    r->method = method;
    const char *size = http_header(r, "Content-Length");
    if (strcmp(method, "GET") != 0 && strcmp(method, "POST") != 0 && strcmp(method, "DELETE") != 0)
        refuse(r, 405, "only GET, POST and DELETE are understood");
    else if (url[0] != '/')
        refuse(r, 400, "a path begins with /, such as /v1/status");
    else if (size && strtoull(size, NULL, 10) > HTTP_BODY_MAX)
        refuse(r, 413, "the request is larger than 1 MiB");
    return r->state == STATE_ANSWERED ? queue(r) : MHD_YES;
}

static enum MHD_Result take_body(struct http_request *r, const char *bytes, size_t *size)
{
    size_t n = *size;
    *size = 0;
    if (r->discarded == 0 && r->in.len + n <= HTTP_BODY_MAX) {
        str_add_n(&r->in, bytes, n);
        return MHD_YES;
    }
    r->discarded += n;
    str_done(&r->in);
    return r->discarded <= DISCARD_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result deliver(struct http_request *r)
{
    struct http_server *s = r->server;
    if (r->discarded > 0) {
        refuse(r, 413, "the request is larger than 1 MiB");
    } else if (r->in.failed) {
        answer(r, 0, NULL);
    } else {
        enter(r, STATE_HELD);
        s->handler.request(s->arg, r);
    }
    if (r->state != STATE_HELD)
        return queue(r);
    if (!watch(r)) {
        http_request_gone(r);
        r->status = error_http(ERROR_NO_MEMORY);
        return queue(r);
    }
    r->suspended = true;
    MHD_suspend_connection(r->connection);
    return MHD_YES;
}

enum MHD_Result http_request_access(void *cls, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **slot)
{
    (void)version;
    struct http_request *r = *slot;
    if (!r) {
        r = new_request(cls, connection);
        *slot = r;
        return r ? begin(r, url, method) : MHD_NO;
    }
    if (r->state == STATE_GONE)
        return MHD_NO;
    if (r->state != STATE_READING)
        return queue(r);
    return *upload_size > 0 ? take_body(r, upload, upload_size) : deliver(r);
}

void http_request_completed(void *cls, struct MHD_Connection *connection, void **slot,
                         enum MHD_RequestTerminationCode why)
{
    (void)cls;
    (void)connection;
    (void)why;
    struct http_request *r = *slot;
    *slot = NULL;
    if (!r)
        return;
    http_request_gone(r);
    drop_response(r);
    *r->at = r->next;
    if (r->next)
        r->next->at = r->at;
    str_done(&r->in);
    str_done(&r->out);
    free(r);
}

/* ---- streams ---- */

static ssize_t on_more(void *cls, uint64_t at, char *bytes, size_t room)
{
    (void)at;
    struct http_request *r = cls;
    if (r->state == STATE_GONE)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t n = MIN(r->out.len - r->sent, room);
    if (n > 0) {
        memcpy(bytes, r->out.text + r->sent, n);
        r->sent += n;
        return (ssize_t)n;
    }
    r->out.len = r->sent = 0;
    if (r->state == STATE_ENDED)
        return MHD_CONTENT_READER_END_OF_STREAM;
    r->suspended = true;
    MHD_suspend_connection(r->connection);
    return 0;
}

int http_stream_begin(struct http_request *r, struct error *err)
{
    assert(r->state == STATE_HELD);
    struct MHD_Response *m =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_more, r, NULL);
    if (!m || !watch(r) ||
        MHD_add_response_header(m, "Content-Type", "application/x-ndjson") != MHD_YES ||
        MHD_add_response_header(m, "Fetta-Version", FETTA_VERSION) != MHD_YES) {
        if (m)
            MHD_destroy_response(m);
        answer(r, 0, NULL);
        return error_set(err, ERROR_NO_MEMORY, "no memory for a stream");
    }
    r->response = m;
    r->status = 200;
    enter(r, STATE_STREAM);
    http_request_resume(r);
    return 0;
}

bool http_stream_send(struct http_request *r, const void *bytes, size_t size)
{
    if (r->state != STATE_STREAM || r->cut)
        return false;
    if (r->sent > r->out.len / 2) {
        memmove(r->out.text, r->out.text + r->sent, r->out.len - r->sent);
        r->out.len -= r->sent;
        r->sent = 0;
    }
    if (r->out.len - r->sent + size <= HTTP_STREAM_MAX)
        str_add_n(&r->out, bytes, size);
    else
        r->cut = true;
    r->cut = r->cut || r->out.failed;
    if (r->cut)
        shutdown(r->fd, SHUT_RDWR); /* the watch sees it, and calls `closed` */
    else
        http_request_resume(r);
    return !r->cut;
}

void http_stream_end(struct http_request *r)
{
    if (r->state != STATE_STREAM)
        return;
    unwatch(r);
    enter(r, STATE_ENDED);
    http_request_resume(r);
}

/* ---- what the handler sees ---- */

const char *http_method(const struct http_request *r)
{
    return r->method;
}

const char *http_path(const struct http_request *r)
{
    return r->path;
}

const char *http_query(const struct http_request *r, const char *name)
{
    const char *value = NULL;
    size_t size = 0;
    if (MHD_lookup_connection_value_n(r->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name),
                                      &value, &size) != MHD_YES)
        return NULL;
    return value ? value : "";
}

struct each {
    void (*call)(void *arg, const char *name, const char *value);
    void *arg;
};

static enum MHD_Result on_argument(void *cls, enum MHD_ValueKind kind, const char *name,
                                   const char *value)
{
    (void)kind;
    const struct each *e = cls;
    e->call(e->arg, name, value ? value : "");
    return MHD_YES;
}

void http_query_each(const struct http_request *r,
                     void (*each)(void *arg, const char *name, const char *value), void *arg)
{
    struct each e = {each, arg};
    MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, on_argument, &e);
}

const char *http_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *http_body(const struct http_request *r, size_t *ret_size)
{
    *ret_size = r->in.len;
    return r->in.text ? r->in.text : "";
}

const struct http_peer *http_peer(const struct http_request *r)
{
    return &r->peer;
}

void *http_data(const struct http_request *r)
{
    return r->data;
}

void http_set_data(struct http_request *r, void *data)
{
    r->data = data;
}

void http_reply(struct http_request *r, int status, char *body, size_t size)
{
    assert(r->state == STATE_HELD);
    answer(r, status, body ? json_response(body, size) : NULL);
}

void http_reply_error(struct http_request *r, const struct error *err)
{
    assert(r->state == STATE_HELD);
    answer(r, error_http(err->code), http_request_error(err->code, err->text));
}

struct http_page *http_page_new(int status, char *body, size_t size)
{
    struct http_page *p = body ? malloc(sizeof *p) : NULL;
    if (!p) {
        free(body);
        return NULL;
    }
    *p = (struct http_page){.response = json_response(body, size), .status = status, .refs = 1};
    if (!p->response) {
        free(p);
        return NULL;
    }
    return p;
}

struct http_page *http_page_ref(struct http_page *p)
{
    p->refs++;
    return p;
}

void http_page_unref(struct http_page *p)
{
    if (!p || --p->refs > 0)
        return;
    MHD_destroy_response(p->response);
    free(p);
}

void http_reply_page(struct http_request *r, struct http_page *p)
{
    assert(r->state == STATE_HELD);
    r->page = p ? http_page_ref(p) : NULL;
    answer(r, p ? p->status : 0, p ? p->response : NULL);
}
