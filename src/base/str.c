/* The growing string, and "did you mean". */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool reserve(struct str *s, size_t more)
{
    if (s->failed)
        return false;
    size_t need = s->len + more + 1;
    if (need <= s->room)
        return true;
    size_t room = MAX(need, MAX(s->room * 2, (size_t)64));
    char *text = realloc(s->text, room);
    if (!text) {
        s->failed = true;
        return false;
    }
    s->text = text;
    s->room = room;
    return true;
}

void str_add_n(struct str *s, const char *bytes, size_t n)
{
    if (!reserve(s, n))
        return;
    memcpy(s->text + s->len, bytes, n);
    s->len += n;
    s->text[s->len] = '\0';
}

void str_add(struct str *s, const char *text)
{
    str_add_n(s, text, strlen(text));
}

void str_addf(struct str *s, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0 || !reserve(s, (size_t)n))
        return;
    va_start(args, fmt);
    (void)vsnprintf(s->text + s->len, (size_t)n + 1, fmt, args);
    va_end(args);
    s->len += (size_t)n;
}

void str_done(struct str *s)
{
    free(s->text);
    *s = (struct str){0};
}

char *str_take(struct str *s)
{
    (void)reserve(s, 0);
    if (s->failed) {
        str_done(s);
        return NULL;
    }
    s->text[s->len] = '\0';
    char *text = s->text;
    *s = (struct str){0};
    return text;
}

bool str_copy(char *to, size_t size, const char *from)
{
    size_t n = strlen(from);
    size_t kept = MIN(n, size - 1);
    memcpy(to, from, kept);
    to[kept] = '\0';
    return kept == n;
}

/* FNV-1a, a published public-domain function. */
uint64_t str_hash(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return h;
}

enum { NEAREST_WORD = 48 };

/* Levenshtein distance of two words of at most NEAREST_WORD letters, one row at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NEAREST_WORD + 1];
    size_t b_len = strlen(b);
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_len; j++) {
            size_t above = row[j + 1];
            size_t change = diagonal + (a[i] != b[j]);
            row[j + 1] = MIN(change, MIN(above, row[j]) + 1);
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *str_nearest(const char *word, const char *const *candidates, size_t n)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 2 + 2;
    if (strlen(word) > NEAREST_WORD)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        if (strlen(candidates[i]) > NEAREST_WORD)
            continue;
        size_t d = distance(word, candidates[i]);
        if (d < best_distance) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}

int str_unit(const char *unit)
{
    static const char letters[] = "kmgt";
    if (strcasecmp(unit, "b") == 0)
        return 0;
    const char *letter = *unit ? strchr(letters, *unit | 0x20) : NULL;
    if (!letter)
        return -1;
    const char *rest = unit + 1;
    rest += *rest == 'i' || *rest == 'I';
    if (*rest && strcasecmp(rest, "b") != 0)
        return -1;
    return 10 * (int)(letter - letters + 1);
}
