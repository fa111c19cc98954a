/* A few texts in two classes, and small models trained on them, for the tests of what is saved. */
#ifndef GENCHI_TESTS_FIXTURE_TUNED_H
#define GENCHI_TESTS_FIXTURE_TUNED_H

#include "model/tuned.h"

extern const char *const fixture_classes[2];

gn_context *fixture_context(void);                         /* two threads */
gn_model *fixture_load(gn_context *ctx, const char *path); /* float32 */
/* A few steps in float32. lora_target: 0 for the default. */
gn_tuned *fixture_train(gn_context *ctx, const gn_model *m, gn_tune_what what, unsigned lora_target);
/* A path in the test's own folder; for the caller to free. */
char *fixture_path(const char *name);
/* Largest difference between the vectors that the trained model gives and those of the one at hand; *before:
 * and those that the model gave that was trained. */
double fixture_difference(gn_context *ctx, const gn_tuned *t, const gn_model *saved, double *before);
/* What is said of how far each layer's weights went is what the tensors of the model's own files and of those
 * in the directory say. */
void fixture_check_change(const gn_tuned *t, const char *directory);
/* genchi_head.safetensors holds the trained head's bits. */
void fixture_check_head(const gn_tuned *t, const char *directory);

#endif
