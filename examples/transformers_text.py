"""transformers: one import and one callback record a Trainer. Which module does a docstring fit?"""

import inspect
from importlib import import_module

import numpy as np
from sklearn.model_selection import train_test_split
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    set_seed,
)

from podstack.integrations.transformers import PodstackCallback

seed = 7
set_seed(seed)

# Sentences from Python's own documentation, and the module that each is from.
names = ["decimal", "tarfile", "asyncio", "email.message", "logging", "unittest.mock"]
texts, labels = [], []
for label, name in enumerate(names):
    for _, thing in inspect.getmembers(import_module(name), callable):
        for _, part in [("", thing), *inspect.getmembers(thing, inspect.isfunction)]:
            for sentence in (inspect.getdoc(part) or "").replace("\n", " ").split(". "):
                if len(sentence) > 20 and sentence not in texts:
                    texts.append(sentence)
                    labels.append(label)

# Nothing is downloaded: a tokenizer that knows these words, and a model made from a config.
words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
words.normalizer = normalizers.Lowercase()
words.pre_tokenizer = pre_tokenizers.Whitespace()
words.train_from_iterator(
    texts, trainers.WordLevelTrainer(vocab_size=2000, special_tokens=["[PAD]", "[UNK]"])
)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]")
model = BertForSequenceClassification(
    BertConfig(
        vocab_size=2000,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=len(names),
        id2label=dict(enumerate(names)),
    )
)

data = [
    {**tokenizer(text, truncation=True, max_length=64), "labels": label}
    for text, label in zip(texts, labels, strict=True)
]
train, validation = train_test_split(data, test_size=0.25, stratify=labels, random_state=seed)

trainer = Trainer(
    model=model,
    args=TrainingArguments(
        output_dir="docstrings",
        run_name="one layer",
        num_train_epochs=4,
        per_device_train_batch_size=32,
        learning_rate=3e-3,
        logging_steps=5,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        disable_tqdm=True,
        use_cpu=True,
        seed=seed,
    ),
    train_dataset=train,
    eval_dataset=validation,
    processing_class=tokenizer,
    compute_metrics=lambda told: {
        "accuracy": float(np.mean(told.predictions.argmax(axis=1) == told.label_ids))
    },
    callbacks=[PodstackCallback(experiment="docstrings", log_model=True)],
)
trainer.train()
trainer.evaluate()
