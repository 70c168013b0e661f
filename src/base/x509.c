#include "base/x509.h"

#include "base/hex.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

static struct str keep(struct arena *a, const void *text, size_t len)
{
    char *copy = memchr(text, '\0', len) ? NULL : arena__dup(a, text, len);

    return str__n(copy, copy ? len : 0);
}

/* UTF-8 stays as it is, what RFC 2253 escapes is escaped, control characters too. */
static struct str name_text(struct arena *a, const X509_NAME *name)
{
    BIO *out = BIO_new(BIO_s_mem());
    struct str text = STR_NONE;
    char *data;
    long len;

    if (out && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        len = BIO_get_mem_data(out, &data);
        text = len > 0 ? keep(a, data, (size_t)len) : STR("");
    }
    BIO_free(out);
    return text;
}

static struct str common_name(struct arena *a, const X509_NAME *name)
{
    struct str text = STR_NONE;
    unsigned char *utf8 = NULL;
    int at = -1, last = -1, len;

    while ((at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
        last = at;
    if (last < 0)
        return STR_NONE;
    len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
    if (len >= 0)
        text = keep(a, utf8, (size_t)len);
    OPENSSL_free(utf8);
    return text;
}

static struct str hex(struct arena *a, const unsigned char *bytes, size_t len)
{
    char *text = arena__alloc(a, 2 * len + 1);

    if (!text)
        return STR_NONE;
    *hex__put(text, bytes, len) = '\0';
    return str__n(text, 2 * len);
}

static struct str serial_text(struct arena *a, const X509 *x)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    struct str text = hex(a, ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));

    while (text.len > 1 && text.ptr[0] == '0') {
        text.ptr++;
        text.len--;
    }
    return text;
}

static struct str digest_text(struct arena *a, const X509 *x, const EVP_MD *md)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    return X509_digest(x, md, digest, &len) == 1 ? hex(a, digest, len) : STR_NONE;
}

static bool read_time(struct arena *a, const ASN1_TIME *from, struct str *text, int64_t *seconds)
{
    struct tm tm;
    char iso[sizeof("-2147483648-01-01T00:00:00Z")];

    if (ASN1_TIME_to_tm(from, &tm) != 1)
        return false;
    *seconds = timegm(&tm);
    if (strftime(iso, sizeof(iso), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        return false;
    *text = keep(a, iso, strlen(iso));
    return text->ptr != NULL;
}

static bool read_all(struct arena *a, const X509 *x, struct x509_facts *f)
{
    struct str *t = f->texts;

    t[X509_SUBJECT] = name_text(a, X509_get_subject_name(x));
    t[X509_ISSUER] = name_text(a, X509_get_issuer_name(x));
    t[X509_COMMON_NAME] = common_name(a, X509_get_subject_name(x));
    t[X509_SERIAL] = serial_text(a, x);
    t[X509_SHA1] = digest_text(a, x, EVP_sha1());
    t[X509_SHA256] = digest_text(a, x, EVP_sha256());
    if (!read_time(a, X509_get0_notBefore(x), &t[X509_NOT_BEFORE], &f->not_before) ||
        !read_time(a, X509_get0_notAfter(x), &t[X509_NOT_AFTER], &f->not_after))
        return false;
    for (int i = 0; i < X509_TEXTS; i++) {
        if (!t[i].ptr && i != X509_COMMON_NAME)
            return false;
    }
    return true;
}

bool x509__read(struct arena *a, struct str pem, struct x509_facts *out)
{
    X509 *x = NULL;
    BIO *in;
    bool ok;

    *out = (struct x509_facts){.not_before = 0};
    if (!pem.ptr || pem.len > X509_MAX_PEM)
        return false;
    in = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    if (in)
        x = PEM_read_bio_X509(in, NULL, NULL, NULL);
    ok = x && read_all(a, x, out);
    X509_free(x);
    BIO_free(in);
    ERR_clear_error(); /* who uses OpenSSL next shall not find our errors */
    return ok;
}
