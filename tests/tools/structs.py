"""The structs of include/genchi/*.h that the Python beside the library uses, for ctypes; one place for all of it."""

import ctypes as c


class Error(c.Structure):  # gn_error
    _fields_ = [("code", c.c_int), ("lang", c.c_int), ("line", c.c_int64), ("message", c.c_char * 1024)]


class Matrix(c.Structure):  # gn_matrix
    _fields_ = [("data", c.POINTER(c.c_float)), ("rows", c.c_size_t), ("cols", c.c_size_t)]


class Tokens(c.Structure):  # gn_tokens
    _fields_ = [("id", c.POINTER(c.c_int32)), ("begin", c.POINTER(c.c_uint32)), ("end", c.POINTER(c.c_uint32)),
                ("count", c.c_size_t), ("capacity", c.c_size_t), ("cut", c.c_bool)]


PROGRESS = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.c_size_t, c.c_size_t)  # gn_progress_fn


class ContextOptions(c.Structure):  # gn_context_options
    _fields_ = [("threads", c.c_uint), ("seed", c.c_uint64), ("progress", PROGRESS), ("learning", c.c_void_p),
                ("progress_data", c.c_void_p), ("cancel", c.c_void_p)]


class ModelOptions(c.Structure):  # gn_model_options
    _fields_ = [("pooling", c.c_int), ("dtype", c.c_int), ("max_length", c.c_size_t), ("prompt", c.c_char_p),
                ("hub", c.c_void_p), ("endpoint", c.c_void_p)]


class EmbedStats(c.Structure):  # gn_embed_stats
    _fields_ = [("texts", c.c_size_t), ("distinct", c.c_size_t), ("cut", c.c_size_t), ("tokens", c.c_size_t),
                ("seconds", c.c_double)]


class TuneOptions(c.Structure):  # gn_tune_options
    _fields_ = [("what", c.c_int), ("lora_rank", c.c_size_t), ("lora_alpha", c.c_double), ("lora_target", c.c_uint),
                ("last_k", c.c_size_t), ("epochs", c.c_size_t), ("max_steps", c.c_size_t), ("batch", c.c_size_t),
                ("budget", c.c_size_t), ("rate", c.c_double), ("head_rate", c.c_double), ("decay", c.c_double),
                ("beta1", c.c_double), ("beta2", c.c_double), ("eps", c.c_double), ("warmup", c.c_double),
                ("schedule", c.c_int), ("clip", c.c_double), ("dropout", c.c_double), ("class_weight", c.c_void_p),
                ("heldout", c.c_double), ("patience", c.c_size_t), ("evaluate_every", c.c_size_t),
                ("seed", c.c_uint64), ("dtype", c.c_int), ("memory", c.c_size_t), ("head_weight", c.c_void_p),
                ("head_bias", c.c_void_p), ("checkpoint", c.c_char_p), ("checkpoint_every", c.c_size_t)]


class TuneRows(c.Structure):  # gn_tune_rows
    _fields_ = [("text", c.c_void_p), ("length", c.c_void_p), ("label", c.c_void_p), ("group", c.c_void_p),
                ("rows", c.c_size_t), ("classes", c.c_int)]


class TuneStats(c.Structure):  # the first fields of gn_tune_stats, which is only ever read through a pointer
    _fields_ = [(x, c.c_size_t) for x in ("rows", "heldout_rows", "steps", "best_step", "planned_steps")] + [
        ("stopped_early", c.c_bool), ("resumed", c.c_bool), ("trained", c.c_size_t), ("parameters", c.c_size_t),
        ("tokens", c.c_size_t)]


POOLINGS = {"mean": 1, "cls": 2, "lasttoken": 3, "max": 4, "weightedmean": 5, "mean_sqrt_len_tokens": 6}  # gn_pooling
DTYPES = {"float32": 1, "bf16": 2, "int8": 3}  # gn_dtype
TUNE = {"head": 0, "full": 1, "lora": 2, "last-k": 3}  # gn_tune_what
