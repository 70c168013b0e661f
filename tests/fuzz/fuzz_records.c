/* What a FastCGI program answers libpubhooktest: in pieces as long as the first byte says, it is
 * the same as at once. */
#include "test/records.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answer {
    enum ph_err err;
    bool ended;
    struct buf text;
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

static struct answer read_in_pieces(struct str bytes, size_t piece)
{
    struct answer a = {PH_OK, false, {0}};
    struct diag diag = {""};
    size_t at = 0, len = 0;

    buf__init(&a.text, 1 << 20);
    while (!a.err && !a.ended && len < bytes.len) {
        len = bytes.len - len > piece ? len + piece : bytes.len;
        a.err = test_records__take(str__n(bytes.ptr, len), &at, &a.text, &a.ended, &diag);
        must(at <= len && (!a.err || diag.text[0]));
    }
    return a;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes;
    struct answer whole, cut;

    if (size == 0)
        return 0;
    bytes = str__n((const char *)data + 1, size - 1);
    whole = read_in_pieces(bytes, bytes.len);
    cut = read_in_pieces(bytes, 1 + data[0]);
    must(whole.err == cut.err && whole.ended == cut.ended);
    must(str__eq(buf__view(&whole.text), buf__view(&cut.text)));
    buf__free(&whole.text);
    buf__free(&cut.text);
    return 0;
}
