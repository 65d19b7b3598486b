"""Which way a metric improves, as far as its name says: the one rule for tables and for alerts.

`val_loss` is better when smaller, `val_acc` when larger, and of `grad_norm` nobody can say. A
name is read as words: `valLoss`, `val/loss` and `val-loss` are the same. `neg` turns a word
around, as scikit-learn's `neg_mean_squared_error` does.
"""

from __future__ import annotations

import re

MINIMIZE, MAXIMIZE = "minimize", "maximize"

_SMALLER = """
    loss losses error errors err perplexity ppl mse rmse mae mape smape msle rmsle nll bce ce wer
    cer mer eer fid kid kl divergence brier ece regret latency deviance distance cost violations
    misclassification crossentropy fpr fnr bpc bpb
"""
_LARGER = """
    acc accuracy f1 fbeta auc auroc auprc ap map precision recall sensitivity specificity iou miou
    jaccard dice bleu rouge meteor reward rewards r2 psnr ssim ndcg mrr mcc kappa
    likelihood elbo throughput tpr winrate
"""
# Count only where nothing else is said: a fid_score is a FID, a top1_error an error.
_LARGER_IF_ALONE = "top1 top5 score scores hits correct success"
# Words that make a quantity of its own out of the word beside them: `loss_scale`, `error_count`.
_OTHER = "scale weight weights coef coefficient lr threshold temperature steps count"
_SMALLER_WORDS, _LARGER_WORDS, _WEAK_WORDS, _OTHER_WORDS = (
    frozenset(words.split()) for words in (_SMALLER, _LARGER, _LARGER_IF_ALONE, _OTHER)
)
_SMALLER_ENDS = ("loss", "error", "perplexity", "crossentropy")  # `logloss`, `bceloss`
_LARGER_ENDS = ("accuracy", "recall", "auc")
_WORDS = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+")


def direction_of(metric: str) -> str | None:
    """`minimize`, `maximize`, or None where the name does not say.

    The last part of a name counts before the ones above it: `loss/accuracy` is an accuracy.
    """
    if metric.startswith("system/"):
        return None
    for part in reversed(metric[-200:].split("/")):
        found = _direction_of_words({word.lower() for word in _WORDS.findall(part)})
        if found is not None:
            return found or None
    return None


def _direction_of_words(words: set[str]) -> str | None:
    """The direction; an empty text where the words are about something else; None if unknown."""
    smaller = bool(words & _SMALLER_WORDS) or {"cross", "entropy"} <= words
    smaller = smaller or any(word.endswith(_SMALLER_ENDS) for word in words)
    larger = bool(words & _LARGER_WORDS) or any(word.endswith(_LARGER_ENDS) for word in words)
    larger = larger or bool(words & _WEAK_WORDS and not smaller)
    if not smaller and not larger:
        return None
    if words & _OTHER_WORDS or (smaller and larger):
        return ""
    return MINIMIZE if smaller != bool(words & {"neg", "negative"}) else MAXIMIZE


def is_better(value: float, than: float, direction: str) -> bool:
    """Whether `value` beats `than`; NaN beats nothing and is beaten by any number."""
    if value != value:
        return False
    return than != than or (value < than if direction == MINIMIZE else value > than)
