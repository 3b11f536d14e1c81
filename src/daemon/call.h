/* One request of one client, from its arrival until its answer; shared by the handlers. */
#pragma once

#include "daemon/daemon.h"
#include "daemon/show.h"
#include "proc/proc.h"
#include "wire/http.h"

#include <jansson.h>

enum call_wait {
    CALL_NEW,         /* its handler runs */
    CALL_COMMIT,      /* answers `reply` when the turn is durable */
    CALL_PLACED,      /* ... with the lease, 202 if it waits */
    CALL_GRANTED,     /* the lease is granted or over */
    CALL_ENDED,       /* the lease is over */
    CALL_STREAM,      /* hears every change until it goes */
    CALL_CHANGED,     /* the lease's revision is not `revision` any more */
};

struct call {
    struct daemon *daemon;
    struct call *next;
    struct http_request *http;
    struct viewer who;
    struct proc_id asker;   /* an ask: the asking process, as identified once; pid 0: not yet */
    json_t *body;           /* an object, empty when there was none */
    uint32_t id;            /* of /v1/leases/ID */
    enum call_wait wait;
    uint32_t lease;         /* which lease it waits for */
    uint32_t revision;
    bool asks;              /* closing the connection gives up the queued lease */
    json_t *reply;          /* CALL_COMMIT; an extra member "hint" for leases is in `hint` */
    char hint[ERROR_TEXT];
    sd_event_source *timeout;
};

/* A handler answers, or sets `wait`, or returns an error that becomes the answer. */
typedef int call_handler(struct call *c, struct error *err);

/* Answers with `reply`, which becomes the call's, and ends the call. */
void call_answer(struct call *c, int status, json_t *reply);
void call_answer_error(struct call *c, const struct error *err);

/* The call answers {"changed": true, ...} or `reply` once this turn is durable. */
int call_after_commit(struct call *c, json_t *reply);

/* -ERROR_NO_PERMISSION unless the caller is an operator; `what` finishes "only operators may
 * ...". */
int call_need_operator(const struct call *c, const char *what, struct error *err);

/* -ERROR_NO_PERMISSION unless the caller is root: only root may act for a named owner. */
int call_need_root(const struct call *c, struct error *err);

/* The live lease of the path, for its owner or an operator when `change`. */
int call_lease(const struct call *c, bool change, const struct lease **ret, struct error *err);

/* World slots of a GPU list "0-3", "all" or a UUID, as a set; INVALID names what is not there. */
int call_gpus(const struct call *c, const char *text, uint64_t *ret_slots, struct error *err);

call_handler call_ask, call_list, call_show, call_end, call_end_by_key, call_extend, call_attach,
    call_exit, call_card, call_explain, call_status, call_layout_show, call_layout, call_dynamic,
    call_drain, call_manage, call_pool, call_reload, call_events, call_history;

/* Reads the body of an ask into an event; fills `asked_for` for people and `hint`. Also for
 * explain. */
struct ask_text {
    char asked_for[96];
    const char *command, *door;
    bool async;
};
int ask_read(struct call *c, struct event *ret, struct ask_text *ret_text, struct error *err);
