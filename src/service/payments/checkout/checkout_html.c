#include "checkout_page.h"

#include "page.h"

/* Beside that of all pages (page_html.c), with its colours. */
static const char style[] =
    "<style>"
    "h2{font-size:1.1rem;margin:1.5rem 0 .75rem}"
    "dt{overflow-wrap:anywhere}dt small{display:block;font-size:.875rem;color:var(--faint)}"
    "dd{white-space:nowrap}"
    ".total{font-size:1.125rem}"
    "label{display:block;font-weight:600;margin:0 0 .25rem}"
    "input{width:100%;min-height:44px;padding:.5rem .75rem;font:inherit;"
    "color:inherit;background:var(--back);border:1px solid var(--edge);border-radius:.4rem}"
    "::placeholder{color:var(--faint);opacity:1}"
    "input[aria-invalid=true]{border:2px solid var(--bad)}"
    ".field{margin:0 0 1rem}.pair{display:flex;gap:1rem}.pair .field{flex:1}"
    ".error{margin:.25rem 0 0;color:var(--bad)}"
    "button.other{background:none;color:var(--text);border-color:var(--edge)}"
    ".cancel{display:inline-block;padding:.625rem 0;color:var(--main)}"
    "</style>\n";

/* A payer who looks at it is led on when it is paid, without a script. */
#define LOOK_AGAIN "<meta http-equiv=\"refresh\" content=\"4\">\n"

static void
write_text(struct buf *out, struct span text)
{
    payments_page_text_write(out, text);
}

static void
write_money(struct buf *out, struct money money)
{
    char text[MONEY_TEXT_SIZE];
    money_format(money, text);
    write_text(out, span_from_cstr(text));
}

/* --------------------------------------------------------------------------------- the goods ---
 */

static void
write_line(struct buf *out, const struct payments_checkout_line *line)
{
    buf_append_cstr(out, "<div><dt>");
    write_text(out, line->name);
    if (line->quantity != 1) {
        buf_append_format(out, " &times; %lld", (long long)line->quantity);
    }
    if (line->description.size != 0) {
        buf_append_cstr(out, "<small>");
        write_text(out, line->description);
        buf_append_cstr(out, "</small>");
    }
    buf_append_cstr(out, "</dt><dd>");
    write_money(out, line->cost);
    buf_append_cstr(out, "</dd></div>\n");
}

static void
write_goods(struct buf *out, const struct payments_checkout_page *page)
{
    buf_append_cstr(out, "<dl>\n");
    for (uint32_t i = 0; i < page->line_count; i++) {
        write_line(out, &page->lines[i]);
    }
    buf_append_cstr(out, "<div class=\"total\"><dt>Total</dt><dd>");
    write_money(out, page->total);
    buf_append_cstr(out, "</dd></div>\n</dl>\n");
    if (page->test_mode) {
        buf_append_cstr(out, "<p class=\"note\">Test mode: no money moves.</p>\n");
    }
}

/* ---------------------------------------------------------------------------------- the form ---
 */

struct field {
    const char *id;
    const char *name;
    const char *label;
    const char *attributes;
    struct span value; /* never that of a secret */
    const char *error;
};

static void
write_field(struct buf *out, const struct field *field)
{
    buf_append_format(
        out,
        "<div class=\"field\"><label for=\"%s\">%s</label>\n<input id=\"%s\" name=\"%s\" required "
        "%s",
        field->id,
        field->label,
        field->id,
        field->name,
        field->attributes);
    if (field->value.size != 0) {
        buf_append_cstr(out, " value=\"");
        write_text(out, field->value);
        buf_append_byte(out, '"');
    }
    if (field->error != NULL) {
        buf_append_format(
            out,
            " aria-invalid=\"true\" aria-describedby=\"%s-error\">\n"
            "<p class=\"error\" id=\"%s-error\">%s</p></div>\n",
            field->id,
            field->id,
            field->error);
    } else {
        buf_append_cstr(out, "></div>\n");
    }
}

static void
write_card_fields(struct buf *out, const struct payments_checkout_page *page)
{
    const struct payments_checkout_errors *errors = &page->errors;
    const struct field email = {
        "email",
        "email",
        "E-mail",
        "type=\"email\" autocomplete=\"email\" maxlength=\"254\"",
        page->email,
        errors->email};
    const struct field number = {
        "number",
        "card[number]",
        "Card number",
        "type=\"text\" inputmode=\"numeric\" autocomplete=\"cc-number\" maxlength=\"32\" "
        "spellcheck=\"false\"",
        SPAN_EMPTY,
        errors->number};
    const struct field expiry = {
        "expiry",
        "card[expiry]",
        "Expires (MM/YY)",
        "type=\"text\" inputmode=\"numeric\" autocomplete=\"cc-exp\" maxlength=\"10\" "
        "placeholder=\"MM/YY\"",
        page->expiry,
        errors->expiry};
    const struct field cvc = {
        "cvc",
        "card[cvc]",
        "Security code",
        "type=\"text\" inputmode=\"numeric\" autocomplete=\"cc-csc\" maxlength=\"4\" "
        "spellcheck=\"false\"",
        SPAN_EMPTY,
        errors->cvc};
    const struct field name = {
        "name",
        "name",
        "Name on the card",
        "type=\"text\" autocomplete=\"cc-name\" maxlength=\"200\"",
        page->name,
        errors->name};
    if (page->asks_email) {
        write_field(out, &email);
    }
    write_field(out, &number);
    buf_append_cstr(out, "<div class=\"pair\">\n");
    write_field(out, &expiry);
    write_field(out, &cvc);
    buf_append_cstr(out, "</div>\n");
    write_field(out, &name);
}

static void
write_card_form(struct buf *out, const struct payments_checkout_page *page)
{
    buf_append_cstr(out, "<h2 id=\"by-card\">Pay by card</h2>\n");
    if (page->too_many) {
        buf_append_cstr(
            out,
            "<p class=\"note bad\" role=\"alert\">Too many cards were tried here. Go back to the "
            "shop, "
            "and start again from there.</p>\n");
        return;
    }
    buf_append_cstr(out, "<form method=\"post\" action=\"?\" aria-labelledby=\"by-card\">\n");
    write_card_fields(out, page);
    buf_append_format(out, "<button name=\"by\" value=\"card\">%s ", page->verb);
    write_money(out, page->total);
    buf_append_cstr(out, "</button>\n</form>\n");
}

static void
write_form(struct buf *out, const struct payments_checkout_page *page)
{
    if (page->errors.form != NULL) {
        buf_append_format(out, "<p class=\"note bad\" role=\"alert\">%s</p>\n", page->errors.form);
    }
    if (page->challenge.size != 0) {
        buf_append_cstr(
            out,
            "<p class=\"note\">Your bank waits for your confirmation. Answer it, or pay in another "
            "way.</p>\n<a class=\"back\" href=\"");
        write_text(out, page->challenge);
        buf_append_cstr(out, "\">Answer my bank</a>\n");
    }
    if (page->takes_card) {
        write_card_form(out, page);
    }
    if (page->takes_code) {
        buf_append_cstr(
            out,
            "<h2 id=\"by-app\">Pay with your wallet's app</h2>\n"
            "<form method=\"post\" action=\"?\" aria-labelledby=\"by-app\">\n"
            "<button class=\"other\" name=\"payment_method_data[type]\" value=\"mobile_qr\">Show "
            "the "
            "code to scan</button>\n</form>\n");
    }
}

/* ----------------------------------------------------------------------------------- the rest ---
 */

static void
write_code(struct buf *out, const struct payments_checkout_page *page)
{
    buf_append_cstr(
        out,
        "<h2>Pay with your wallet's app</h2>\n"
        "<p>Scan this code. When it is paid, this page goes on by itself.</p>\n"
        "<img class=\"code\" alt=\"The code to scan\" src=\"");
    write_text(out, page->picture);
    buf_append_cstr(out, "\">\n");
    if (page->takes_card) {
        buf_append_cstr(out, "<a class=\"cancel\" href=\"?by=card\">Pay by card instead</a><br>\n");
    }
}

static void
write_cancel(struct buf *out, const struct payments_checkout_page *page)
{
    if (page->cancel_url.size == 0) {
        return;
    }
    buf_append_cstr(out, "<a class=\"cancel\" href=\"");
    write_text(out, page->cancel_url);
    buf_append_cstr(out, "\">Back to the shop without paying</a>\n");
}

static void
write_over(struct buf *out, const struct payments_checkout_page *page)
{
    bool unknown = page->kind == PAYMENTS_CHECKOUT_PAGE_UNKNOWN;
    payments_page_begin_write(
        out, unknown ? SPAN("This page is not available") : SPAN("This page has expired"), style);
    buf_append_cstr(
        out,
        unknown ? "<p>The address is wrong. Go back to the shop, and start again from there.</p>\n"
                : "<p>Nothing was paid here, and nothing can be paid here any more. Go back to the "
                  "shop, and start again from there.</p>\n");
    write_cancel(out, page);
    payments_page_end_write(out);
}

static void
write_title(struct buf *out, const struct payments_checkout_page *page, const char *head)
{
    char memory[256];
    struct buf title;
    buf_init_fixed(&title, memory, sizeof(memory));
    buf_append_cstr(&title, "Pay ");
    buf_append_span(&title, page->merchant);
    payments_page_begin_write(out, buf_failed(&title) ? SPAN("Pay") : buf_span(&title), head);
}

void
payments_checkout_page_write(struct buf *out, const struct payments_checkout_page *page)
{
    char memory[sizeof(style) + sizeof(LOOK_AGAIN)];
    struct buf head;
    if (page->kind == PAYMENTS_CHECKOUT_PAGE_OVER || page->kind == PAYMENTS_CHECKOUT_PAGE_UNKNOWN) {
        write_over(out, page);
        return;
    }
    buf_init_fixed(&head, memory, sizeof(memory));
    buf_append_cstr(&head, page->kind == PAYMENTS_CHECKOUT_PAGE_FORM ? "" : LOOK_AGAIN);
    buf_append_cstr(&head, style);
    buf_append_byte(&head, '\0');
    write_title(out, page, memory);
    write_goods(out, page);
    if (page->kind == PAYMENTS_CHECKOUT_PAGE_PENDING) {
        buf_append_cstr(
            out,
            "<p class=\"note\" role=\"status\">Your payment is being processed. This page goes on "
            "by "
            "itself; do not pay again.</p>\n");
    } else if (page->kind == PAYMENTS_CHECKOUT_PAGE_CODE) {
        write_code(out, page);
        write_cancel(out, page);
    } else {
        write_form(out, page);
        write_cancel(out, page);
    }
    payments_page_end_write(out);
}

void
payments_checkout_refusal_write(int status, struct buf *out)
{
    enum {
        BAD_REQUEST = 400,
        TOO_LARGE = 413
    };

    if (status != BAD_REQUEST && status != TOO_LARGE) {
        payments_page_refusal_write(status, out);
        return;
    }
    payments_page_begin_write(out, SPAN("This could not be read"), "");
    buf_append_cstr(
        out,
        "<p>Nothing was paid. Go back to the form, and check what you have entered.</p>\n"
        "<a class=\"back\" href=\"?\">Back to the form</a>\n");
    payments_page_end_write(out);
}
