"""libgenchi.so through ctypes: what the sections ask of it."""

import ctypes
import os
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
from structs import DTYPES, POOLINGS, Error, Matrix, ModelOptions, Tokens  # noqa: E402


class Library:
    def __init__(self, path):
        self.lib, self.error, self.context = ctypes.CDLL(os.path.abspath(path)), Error(), ctypes.c_void_p()
        self.ok(self.lib.gn_context_create(None, ctypes.byref(self.context), ctypes.byref(self.error)))

    def ok(self, status):
        if status != 0:
            raise RuntimeError(self.error.message.decode())

    def load(self, folder, **options):
        return Model(self, folder, **options)

    def tokenize(self, folder, texts, limit):
        """A list of ids for each text, special tokens included."""
        handle, tokens, out = ctypes.c_void_p(), Tokens(), []
        self.ok(self.lib.gn_tokenizer_load(folder.encode(), ctypes.byref(handle), ctypes.byref(self.error)))
        for text in texts:
            raw = text.encode()
            self.ok(self.lib.gn_tokenizer_encode(handle, raw, ctypes.c_size_t(len(raw)), ctypes.c_bool(True),
                                                 ctypes.c_size_t(limit), ctypes.byref(tokens),
                                                 ctypes.byref(self.error)))
            out.append(tokens.id[:tokens.count])
        self.lib.gn_tokens_free(ctypes.byref(tokens))
        self.lib.gn_tokenizer_free(handle)
        return out


class Model:
    def __init__(self, library, folder, dtype="float32", pooling=None, prompt=None, max_length=0):
        self.library, self.handle = library, ctypes.c_void_p()
        options = ModelOptions(POOLINGS.get(pooling, 0), DTYPES[dtype], max_length,
                          None if prompt is None else prompt.encode(), None, None)
        library.ok(library.lib.gn_model_load(library.context, folder.encode(), ctypes.byref(options),
                                             ctypes.byref(self.handle), ctypes.byref(library.error)))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.library.lib.gn_model_free(self.handle)

    def take(self, matrix):
        x = np.zeros((matrix.rows, matrix.cols), np.float32)
        if x.size:
            x[:] = np.ctypeslib.as_array(matrix.data, x.shape)
        self.library.lib.gn_matrix_free(ctypes.byref(matrix))
        return x

    def hidden(self, text):
        """[tokens x width] of the last layer."""
        l, out, raw = self.library, Matrix(), text.encode()
        l.ok(l.lib.gn_model_hidden(l.context, self.handle, raw, ctypes.c_size_t(len(raw)), ctypes.byref(out),
                                   ctypes.byref(l.error)))
        return self.take(out)

    def embed(self, texts):
        """[texts x dim]."""
        l, out, raw = self.library, Matrix(), [t.encode() for t in texts]
        strings = (ctypes.c_char_p * len(raw))(*raw)
        lengths = (ctypes.c_uint32 * len(raw))(*map(len, raw))
        l.ok(l.lib.gn_model_embed(l.context, self.handle, strings, lengths, ctypes.c_size_t(len(raw)),
                                  ctypes.byref(out), None, None, ctypes.byref(l.error)))
        return self.take(out)
