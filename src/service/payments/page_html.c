#include "page.h"

void
payments_page_text_write(struct buf *out, struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        switch (text.data[i]) {
        case '&':
            buf_append_cstr(out, "&amp;");
            break;
        case '<':
            buf_append_cstr(out, "&lt;");
            break;
        case '>':
            buf_append_cstr(out, "&gt;");
            break;
        case '"':
            buf_append_cstr(out, "&quot;");
            break;
        case '\'':
            buf_append_cstr(out, "&#39;");
            break;
        default:
            buf_append_byte(out, text.data[i]);
        }
    }
}

/* The colours are those of the console (console/assets/console.css): contrast of at least 4.5 to 1
 * in both schemes (WCAG 2.2, 1.4.3), 3 to 1 at the edges of fields (1.4.11). Targets of 44 px. */
static const char style[] =
    ":root{color-scheme:light dark;"
    "--back:#f6f7f5;--page:#fff;--line:#d9ddd6;--text:#1b211d;--faint:#5c665f;"
    "--main:#0b6e4f;--on-main:#fff;--bad:#b3261e;--wait:#8a5a00;--edge:#7d8781}"
    "@media(prefers-color-scheme:dark){:root{"
    "--back:#121614;--page:#1a201d;--line:#343d38;--text:#e6ebe8;--faint:#9daaa3;"
    "--main:#3fbf90;--on-main:#06251a;--bad:#ff8a80;--wait:#f0b95b;--edge:#78847d}}"
    "*{box-sizing:border-box}"
    "body{margin:0;font:1rem/1.5 system-ui,sans-serif;background:var(--back);color:var(--text)}"
    "main{max-width:28rem;margin:2rem auto;padding:1.5rem;background:var(--page);"
    "border:1px solid var(--line);border-radius:.6rem}"
    "main>:last-child{margin-bottom:0}"
    "h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem;overflow-wrap:anywhere}"
    "dl{margin:0 0 1.5rem;border-top:1px solid var(--line)}"
    "dl div{display:flex;justify-content:space-between;gap:1rem;padding:.625rem 0;"
    "border-bottom:1px solid var(--line)}"
    "dd{margin:0;font-weight:600;text-align:right}"
    ".note{padding:.5rem .8rem;border-left:4px solid var(--wait);background:var(--back)}"
    ".note.bad{border-color:var(--bad)}"
    "button,.back{display:block;width:100%;min-height:44px;margin:0 0 .75rem;"
    "padding:.625rem 1rem;border:1px solid var(--main);border-radius:.4rem;"
    "background:var(--main);color:var(--on-main);"
    "font:inherit;font-weight:600;text-align:center;text-decoration:none;cursor:pointer}"
    "button[value=fail]{background:none;color:var(--bad);border-color:var(--bad)}"
    ":focus-visible{outline:2px solid var(--main);outline-offset:2px}"
    ".code{display:block;width:100%;background:#fff;border-radius:.4rem}"
    "@media(max-width:30rem){main{min-height:100vh;margin:0;border:0;border-radius:0}}";

static const char *
title_of(const struct payments_page *page)
{
    switch (page->kind) {
    case PAYMENTS_PAGE_FORM:
        return page->setup ? "Confirm that your card may be saved" : "Confirm your payment";
    case PAYMENTS_PAGE_SUCCEEDED:
        return page->setup ? "Your card is saved" : "Your payment is confirmed";
    case PAYMENTS_PAGE_PENDING:
        return page->setup ? "Your card is being checked" : "Your payment is being processed";
    case PAYMENTS_PAGE_FAILED:
        return page->setup ? "Your card was not saved" : "Your payment was not confirmed";
    case PAYMENTS_PAGE_UNKNOWN:
        break;
    }
    return "This page is not available";
}

static const char *
explanation_of(const struct payments_page *page)
{
    switch (page->kind) {
    case PAYMENTS_PAGE_FORM:
        return "Your bank asks whether this is really you.";
    case PAYMENTS_PAGE_SUCCEEDED:
        return "There is nothing more to do here.";
    case PAYMENTS_PAGE_PENDING:
        return "You have answered. The outcome will be known in a moment; do not start again.";
    case PAYMENTS_PAGE_FAILED:
        return "It was declined, canceled, or took too long. Go back to the shop to try again.";
    case PAYMENTS_PAGE_UNKNOWN:
        break;
    }
    return "The address is wrong, or a newer page has taken its place. Go back to the shop, and "
           "start again from there.";
}

/* As its owner writes it. */
static struct span
brand_name(struct span brand)
{
    static const struct {
        const char *brand;
        const char *name;
    } names[] = {
        {"amex", "American Express"},
        {"diners", "Diners Club"},
        {"discover", "Discover"},
        {"jcb", "JCB"},
        {"mastercard", "Mastercard"},
        {"unionpay", "UnionPay"},
        {"visa", "Visa"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_equal_cstr(brand, names[i].brand)) {
            return span_from_cstr(names[i].name);
        }
    }
    return brand;
}

static void
write_facts(struct buf *out, const struct payments_page *page)
{
    buf_append_cstr(out, "<dl>\n");
    if (!page->setup) {
        char amount[MONEY_TEXT_SIZE];
        money_format(page->amount, amount);
        buf_append_cstr(out, "<div><dt>Amount</dt><dd>");
        payments_page_text_write(out, span_from_cstr(amount));
        buf_append_cstr(out, "</dd></div>\n");
    }
    buf_append_cstr(out, "<div><dt>Card</dt><dd>");
    payments_page_text_write(out, brand_name(page->brand));
    buf_append_cstr(out, " ending in ");
    payments_page_text_write(out, page->last4);
    buf_append_cstr(out, "</dd></div>\n</dl>\n");
}

static void
write_form(struct buf *out)
{
    buf_append_cstr(
        out,
        "<p class=\"note\">Test mode: this page stands for the one of your bank. No money "
        "moves.</p>\n"
        "<form method=\"post\">\n"
        "<button name=\"answer\" value=\"complete\">Complete authentication</button>\n"
        "<button name=\"answer\" value=\"fail\">Fail authentication</button>\n"
        "</form>\n");
}

void
payments_page_begin_write(struct buf *out, struct span title, const char *head)
{
    buf_append_cstr(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"robots\" content=\"noindex\">\n<title>");
    payments_page_text_write(out, title);
    buf_append_cstr(out, "</title>\n<style>");
    buf_append_cstr(out, style);
    buf_append_cstr(out, "</style>\n");
    buf_append_cstr(out, head);
    buf_append_cstr(out, "</head>\n<body>\n<main>\n<h1>");
    payments_page_text_write(out, title);
    buf_append_cstr(out, "</h1>\n");
}

void
payments_page_end_write(struct buf *out)
{
    buf_append_cstr(out, "</main>\n</body>\n</html>\n");
}

static void
write_head(struct buf *out, const char *title)
{
    payments_page_begin_write(out, span_from_cstr(title), "");
    buf_append_cstr(out, "<p>");
}

void
payments_page_write(struct buf *out, const struct payments_page *page)
{
    const char *title = title_of(page);
    bool form = page->kind == PAYMENTS_PAGE_FORM;
    write_head(out, title);
    buf_append_cstr(out, explanation_of(page));
    buf_append_cstr(out, "</p>\n");
    if (form) {
        write_facts(out, page);
        write_form(out);
    } else if (page->location.size != 0) {
        buf_append_cstr(out, "<a class=\"back\" href=\"");
        payments_page_text_write(out, page->location);
        buf_append_cstr(out, "\">Back to the shop</a>\n");
    }
    payments_page_end_write(out);
}

void
payments_page_refusal_write(int status, struct buf *out)
{
    enum {
        CONFLICT = 409,
        TOO_MANY_REQUESTS = 429,
        SERVER_ERROR = 500
    };

    if (status != CONFLICT && status != TOO_MANY_REQUESTS && status < SERVER_ERROR) {
        const struct payments_page page = {.kind = PAYMENTS_PAGE_UNKNOWN};
        payments_page_write(out, &page);
        return;
    }
    /* The link asks for the same address, and sends nothing again. */
    write_head(out, "Please look again in a moment");
    buf_append_cstr(
        out,
        "We could not finish this just now. If you have answered already, your answer may have "
        "arrived: look again before you start anew. Nothing is paid twice.</p>\n"
        "<a class=\"back\" href=\"\">Look again</a>\n");
    payments_page_end_write(out);
}

/* Who has paid must not be sent to pay again. */
static void
write_no_code(struct buf *out, enum payments_qr_page_kind kind)
{
    static const struct {
        const char *title;
        const char *text;
    } words[] = {
        [PAYMENTS_QR_PAGE_PENDING] =
            {"This is being paid",
             "The outcome will be known in a moment; do not pay again. Load this page again then."},
        [PAYMENTS_QR_PAGE_PAID] = {"This is paid", "There is nothing more to do here."},
        [PAYMENTS_QR_PAGE_OVER] =
            {"This code is no longer valid",
             "It has expired, or was withdrawn. Ask the merchant for a new one."},
        [PAYMENTS_QR_PAGE_UNKNOWN] =
            {"There is no code here", "The address is wrong. Ask the merchant for a new one."},
    };

    write_head(out, words[kind].title);
    buf_append_cstr(out, words[kind].text);
    buf_append_cstr(out, "</p>\n");
    payments_page_end_write(out);
}

void
payments_qr_page_write(
    struct buf *out,
    enum payments_qr_page_kind kind,
    struct span picture,
    const struct money *amount)
{
    if (kind != PAYMENTS_QR_PAGE_CODE) {
        write_no_code(out, kind);
        return;
    }
    write_head(out, "Pay with your wallet");
    buf_append_cstr(out, "Scan this code with your wallet's app");
    if (amount != NULL) {
        char text[MONEY_TEXT_SIZE];
        money_format(*amount, text);
        buf_append_cstr(out, " to pay ");
        payments_page_text_write(out, span_from_cstr(text));
        buf_append_cstr(out, ".");
    } else {
        buf_append_cstr(out, ", and enter the amount there.");
    }
    buf_append_cstr(out, "</p>\n<img class=\"code\" alt=\"The code to scan\" src=\"");
    payments_page_text_write(out, picture);
    buf_append_cstr(out, "\">\n");
    payments_page_end_write(out);
}
