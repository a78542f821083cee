"""The model of 11 million parameters on which training and decoding are timed."""

from model import CWMConfig

ELEVEN_MILLION = CWMConfig(
    vocab_size=8192,
    hidden_size=256,
    intermediate_size=896,
    num_hidden_layers=8,
    num_attention_heads=8,
    num_key_value_heads=2,
    head_dim=32,
    sliding_window=256,
    rope_scaling=None,
    max_position_embeddings=4096,  # tokens
    bos_token_id=8000,
    eos_token_ids=(8001,),
)
