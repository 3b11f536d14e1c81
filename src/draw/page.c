/* The frame of a page and its style; see page.h. Colours are variables, so that the dark screen is
 * a second set of them and paper always gets the first. Series are told apart by colour and by dash
 * (the colours of Okabe and Ito, which people with any colour vision can tell apart), slices by a
 * ramp from light to dark that stays in order in grey. */
#include "draw/page.h"

#include "text/utf8.h"

#include <stdarg.h>
#include <stdio.h>

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--dim:#5b636d;--line:#d5dae0;"
    "--soft:#edf0f3;--good:#1a7f37;--bad:#b3261e;--some:#8a5a00;--c0:#0072b2;--c1:#d55e00;"
    "--c2:#008060;--c3:#b5478f;--c4:#555d66;--c5:#2e9fd9;--c6:#b07800;--c7:#7a5230}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--ink:#e4e7eb;--paper:#15181c;"
    "--dim:#9aa3ad;--line:#3a4148;--soft:#262b31;--good:#5cc277;--bad:#ff8a7f;--some:#e2b14a;"
    "--c0:#5ab4f0;--c1:#ff9447;--c2:#3fc79a;--c3:#e594c9;--c4:#b4bcc4;--c5:#9fd7f7;--c6:#f0c04a;"
    "--c7:#cfa27c}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:var(--ink);background:var(--paper)}\n"
    "h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:2px solid;padding-bottom:.2rem}"
    "h3{margin:1.6rem 0 .4rem;font-size:1rem}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}"
    "th{text-align:left;border-bottom:1px solid}td,th{padding:.25rem .8rem .25rem 0;"
    "vertical-align:top}td.n,th.n{text-align:right;white-space:nowrap;"
    "font-variant-numeric:tabular-nums}.name{white-space:nowrap}"
    "tr+tr td{border-top:1px solid var(--line)}\n"
    ".advice{background:var(--soft);border-left:4px solid var(--c0);padding:.6rem 1rem;"
    "font-weight:600}.dim,figcaption{color:var(--dim)}.late{color:var(--bad);font-weight:600}"
    ".yes{color:var(--good)}.no{color:var(--bad)}.partly{color:var(--some)}"
    ".yes,.no,.partly{font-weight:600}\n"
    "pre{background:var(--soft);padding:.5rem .8rem;white-space:pre-wrap;"
    "overflow-wrap:anywhere;font-size:13px}\n"
    "figure{margin:.5rem 0 1.2rem}figcaption{font-size:13px}"
    "svg{display:block;width:100%;height:auto;print-color-adjust:exact;"
    "-webkit-print-color-adjust:exact}svg text{font:12px system-ui,sans-serif;fill:var(--ink)}"
    "svg .dim{fill:var(--dim)}.grid{stroke:var(--line)}.axis{stroke:var(--ink)}"
    ".mark{stroke:var(--ink);stroke-dasharray:5 3}.curve{fill:none;stroke-width:2;"
    "stroke-linejoin:round}.free{fill:var(--soft);stroke:var(--line)}"
    ".pale{opacity:.35}\n"
    ".q1{fill:#fde6c0}.q2{fill:#fdbf85}.q3{fill:#f2896b}.q4{fill:#cf5673}.q5{fill:#a8437e}"
    ".q6{fill:#7b3380}.q7{fill:#4a2377}.q8{fill:#241249}"
    ".q1,.q2,.q3,.q4,.q5,.q6,.q7,.q8{stroke:var(--paper)}"
    ".thin{stroke-width:.5}svg .on-light{fill:#1b1f24}svg .on-dark{fill:#fff}\n"
    "@media print{body{margin:0;padding:0;max-width:none;font-size:11px}"
    "table,figcaption{font-size:10px}.wide{overflow:visible}h2,h3{break-after:avoid}"
    "figure,tr,.advice{break-inside:avoid}svg{width:86%}"
    ".part>p{break-after:avoid}.part{break-before:page}"
    ".part:first-of-type{break-before:auto}}\n";

void page_markup(struct page *p, const char *markup)
{
    str_add(p->out, markup);
}

void page_markupf(struct page *p, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        p->out->failed = true; /* half a tag would spoil the page */
    else
        str_add(p->out, text);
}

void page_escape(struct str *out, const char *text)
{
    uint32_t c;
    while (*text) {
        unsigned length = utf8_next(text, &c);
        const char *entity = c == '<'                                               ? "&lt;"
                             : c == '>'                                             ? "&gt;"
                             : c == '&'                                             ? "&amp;"
                             : c == '"'                                             ? "&quot;"
                             : c == '\n' || c == '\t'                               ? " "
                             : c < ' ' || c == 0xfffd || c == 0xfffe || c == 0xffff ? "\xef\xbf\xbd"
                                                                                    : NULL;
        if (entity)
            str_add(out, entity);
        else
            str_add_n(out, text, length);
        text += length;
    }
}

void page_element(struct page *p, const char *element, const char *class, const char *text)
{
    if (class)
        str_addf(p->out, "<%s class=\"%s\">", element, class);
    else
        str_addf(p->out, "<%s>", element);
    page_escape(p->out, text);
    str_addf(p->out, "</%s>\n", element);
}

/* A rule for lines and one for areas of each series; dashes change with the colour. */
static void series_style(struct str *out)
{
    static const char *const dashes[] = {"none", "8 3", "3 3", "10 3 3 3", "16 4 2 4 2 4"};
    for (unsigned i = 0; i < 8; i++)
        str_addf(out, ".c%u{stroke:var(--c%u)}.f%u{fill:var(--c%u)}", i, i, i, i);
    for (unsigned i = 0; i < ARRAY_LEN(dashes); i++)
        str_addf(out, ".d%u{stroke-dasharray:%s}", i, dashes[i]);
}

void page_begin(struct page *p, struct str *out, const char *title)
{
    *p = (struct page){.out = out};
    page_markup(p, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
                   "<meta name=\"viewport\" content=\"width=device-width\"/>\n");
    page_element(p, "title", NULL, title);
    page_markup(p, "<style>\n");
    page_markup(p, style);
    series_style(out);
    page_markup(p, "</style></head>\n<body>\n");
    page_element(p, "h1", NULL, title);
}

void page_end(struct page *p)
{
    page_markup(p, "</body></html>\n");
}

void page_table(struct page *p, const char *const *heads, unsigned numbers)
{
    page_markup(p, "<div class=\"wide\"><table><tr>");
    for (unsigned i = 0; heads[i]; i++)
        page_element(p, "th", i >= numbers ? "n" : NULL, heads[i]);
    page_markup(p, "</tr>\n");
}

void page_table_end(struct page *p)
{
    page_markup(p, "</table></div>\n");
}
