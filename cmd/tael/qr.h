/*
 * `tael qr`: payment codes without a server. qr.c has the table of its commands and reads codes;
 * qr_merchant.c and qr_payer.c show what is in them; qr_build.c and qr_image.c make codes and
 * pictures.
 */
#ifndef TAEL_QR_H
#define TAEL_QR_H

#include "command.h"

#include "emvqr/consumer.h"
#include "emvqr/scheme.h"
#include "emvqr/upi.h"

#define QR_TEXT_SIZE   4096 /* of a code on standard input; no kind of code is as long */
#define QR_REPORT_SIZE (1U << 18)

/* The word, or standard input without its line end if the word is "-". COMMAND_GO_ON, or the exit
 * status after a message. */
int qr_read_text(
    const struct command *command,
    const char *word,
    char memory[QR_TEXT_SIZE],
    struct span *ret_text);

/* Prints what a code of any kind says: a table, or JSON. Returns the exit status; a code that is
 * refused is told on standard error, or as JSON. */
int qr_show(const struct command *command, struct span text, bool as_json);

/* Says why a code is refused. Returns COMMAND_FAILED. */
int qr_show_refusal(
    const struct command *command, const struct emvqr_refusal *refusal, bool as_json);

/* Each to standard output; false if memory did not suffice. */
bool qr_print_merchant(struct span text, const struct emvqr_code *code);
bool qr_print_merchant_json(struct span text, const struct emvqr_code *code);
bool qr_print_consumer(const struct emvqr_consumer *code);
bool qr_print_consumer_json(const struct emvqr_consumer *code);
bool qr_print_upi(const struct emvqr_upi *upi);
bool qr_print_upi_json(const struct emvqr_upi *upi);

extern const struct command command_qr_parse;
extern const struct command command_qr_build;
extern const struct command command_qr_image;

#endif
