import json
import shutil
from dataclasses import replace

import pytest
import torch
import torch.distributed.checkpoint as dcp
import torch.nn.functional as F

from benchmarks.measure import extra_memory
from model import Packing
from model.checkpoint import CheckpointError, load_pretrained, save_pretrained
from model.meta_layout import convert, main, meta_name, to_halves, to_neighbours
from model.meta_params import to_params
from tests.model import copies
from tests.model.tiny import CONFIG, build, ids_of


def read_meta(directory):
    """Every tensor of a checkpoint in Meta's layout, as its own loader would ask for it."""
    stored = dcp.FileSystemReader(directory).read_metadata().state_dict_metadata
    state = {
        "model": {
            name.removeprefix("model."): torch.empty(entry.size, dtype=entry.properties.dtype)
            for name, entry in stored.items()
        }
    }
    dcp.load(state, checkpoint_id=directory, no_dist=True)
    return state["model"]


def frequencies(args):
    """Meta's: one per pair, long wavelengths stretched."""
    d, scale = args["head_dim"], args.get("scaled_rope")
    freqs = 1.0 / args["rope_theta"] ** (torch.arange(0, d, 2).float() / d)
    if scale is None:
        return freqs
    long = scale["old_context_len"] / scale["low_freq_factor"]
    short = scale["old_context_len"] / scale["high_freq_factor"]
    result = []
    for f in freqs.tolist():
        wavelength = 2 * torch.pi / f
        if wavelength > long:
            result.append(f / scale["scale_factor"])
        elif wavelength < short:
            result.append(f)
        else:
            smooth = (scale["old_context_len"] / wavelength - scale["low_freq_factor"]) / (
                scale["high_freq_factor"] - scale["low_freq_factor"]
            )
            result.append((1 - smooth) * f / scale["scale_factor"] + smooth * f)
    return torch.tensor(result)


def meta_forward(ids, weights, args):
    """Logits by Meta's conventions: neighbours rotate as complex numbers, windows to the left."""
    n, heads, kv, d = len(ids), args["n_heads"], args["n_kv_heads"], args["head_dim"]
    window, eps = args["window_attn"], args["norm_eps"]
    angles = torch.outer(torch.arange(n).float(), frequencies(args))
    turns = torch.polar(torch.ones_like(angles), angles)[:, None]

    def rope(x):
        pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], d // 2, 2).contiguous())
        return torch.view_as_real(pairs * turns).flatten(-2)

    def norm(x, name):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weights[name]

    x = weights["tok_embeddings.weight"][ids]
    for i in range(args["n_layers"]):
        w = {k.removeprefix(f"layers.{i}."): v for k, v in weights.items()}
        h = norm(x, f"layers.{i}.attention_norm.weight")
        q = rope((h @ w["attention.wq.weight"].T).view(n, heads, d))
        k = rope((h @ w["attention.wk.weight"].T).view(n, kv, d))
        v = (h @ w["attention.wv.weight"].T).view(n, kv, d)
        last = window["global_last_layer"] and i == args["n_layers"] - 1
        whole = last or i % window["window_pattern"] == 0
        left = n if whole else window["local_window"] - 1
        distance = torch.arange(n)[:, None] - torch.arange(n)[None]
        seen = (distance >= 0) & (distance <= left)
        k, v = (t.repeat_interleave(heads // kv, 1) for t in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q, k) / d**0.5
        weight = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        x = x + torch.einsum("hqk,khd->qhd", weight, v).reshape(n, -1) @ w["attention.wo.weight"].T
        h = norm(x, f"layers.{i}.ffn_norm.weight")
        gate, up = h @ w["feed_forward.w1.weight"].T, h @ w["feed_forward.w3.weight"].T
        x = x + (F.silu(gate) * up) @ w["feed_forward.w2.weight"].T
    return norm(x, "norm.weight") @ weights["output.weight"].T


@pytest.mark.parametrize("rope", ["scaled", "plain"])
def test_metas_conventions_on_converted_weights_give_our_logits(tmp_path, rope):
    # weights as at the start of training: logits near 1, so that 1e-6 is above float32's rounding
    changes = {"initializer_range": 0.05} | ({"rope_scaling": None} if rope == "plain" else {})
    model = build(**changes)
    save_pretrained(model, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "meta")
    args = json.loads((tmp_path / "meta" / "params.json").read_text())["model"]
    weights = read_meta(tmp_path / "meta")
    ids = ids_of(50)  # three windows long
    ours = model(ids, Packing.of([50]))
    assert (meta_forward(ids, weights, args) - ours).abs().max() < 1e-6
    unpermuted = {meta_name(name): tensor for name, tensor in model.state_dict().items()}
    assert (meta_forward(ids, unpermuted, args) - ours).abs().max() > 1e-4
    for wrong in (15, 17):
        other = args | {"window_attn": args["window_attn"] | {"local_window": wrong}}
        assert (meta_forward(ids, weights, other) - ours).abs().max() > 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_there_and_back_gives_the_same_bytes(tmp_path, dtype):
    save_pretrained(build().to(dtype), tmp_path / "hf")
    (tmp_path / "hf" / "tokenizer.model").write_text("IQ== 0\n")
    convert(tmp_path / "hf", tmp_path / "meta")
    convert(tmp_path / "meta", tmp_path / "back")
    for name in ("config.json", "model.safetensors", "tokenizer.model"):
        assert (tmp_path / "back" / name).read_bytes() == (tmp_path / "hf" / name).read_bytes()
    convert(tmp_path / "back", tmp_path / "again")
    params = [(tmp_path / made / "params.json").read_bytes() for made in ("meta", "again")]
    assert params[0] == params[1]
    one, two = read_meta(tmp_path / "meta"), read_meta(tmp_path / "again")
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) and one[name].dtype == dtype for name in one)


def test_rows_of_a_head():
    rows = torch.arange(12.0)[:, None]
    assert to_neighbours(rows, 2)[:, 0].tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    assert torch.equal(to_halves(to_neighbours(rows, 2), 2), rows)


def test_names():
    assert meta_name("lm_head.weight") == "output.weight"
    assert meta_name("model.layers.10.mlp.down_proj.weight") == "layers.10.feed_forward.w2.weight"


def test_a_checkpoint_in_pieces_with_an_optimizer(tmp_path):
    """As a trainer leaves it: more files, more states than the model."""
    model, meta = build(), tmp_path / "meta"
    heads = {"q_proj.weight": 4, "k_proj.weight": 2}
    state = {}
    for name, tensor in model.state_dict().items():
        count = heads.get(".".join(name.split(".")[-2:]))
        state[meta_name(name)] = to_neighbours(tensor, count) if count else tensor
    writer = dcp.FileSystemWriter(meta, single_file_per_rank=False)
    optimizer = {"step": 3, "moment": torch.ones(3)}
    dcp.save({"model": state, "optim": optimizer}, storage_writer=writer, no_dist=True)
    record = to_params(CONFIG) | {"data": {"tokenizer": {"name": "cwm_instruct"}}, "seed": 1}
    (meta / "params.json").write_text(json.dumps(record))
    convert(meta, tmp_path / "hf")
    loaded = load_pretrained(tmp_path / "hf")
    assert all(torch.equal(loaded.get_parameter(n), p) for n, p in model.named_parameters())


def test_command_line_both_ways(tmp_path, capsys):
    save_pretrained(build(), tmp_path / "hf")
    main([str(tmp_path / "hf"), str(tmp_path / "meta"), "--dtype", "bfloat16"])
    assert "HF's layout to Meta's, 6 layers of width 32" in capsys.readouterr().out
    main([str(tmp_path / "meta"), str(tmp_path / "back")])
    assert "Meta's layout to HF's" in capsys.readouterr().out
    assert load_pretrained(tmp_path / "back").lm_head.weight.dtype == torch.bfloat16
    with pytest.raises(SystemExit, match="exists already"):
        main([str(tmp_path / "hf"), str(tmp_path / "meta")])
    with pytest.raises(SystemExit, match="neither"):
        main([str(tmp_path), str(tmp_path / "new")])


@pytest.fixture(scope="module")
def meta_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("meta")
    save_pretrained(build(), folder / "hf")
    convert(folder / "hf", folder / "meta")
    return folder / "meta"


@pytest.fixture
def meta(meta_of, tmp_path):
    shutil.copytree(meta_of, tmp_path / "meta")
    return tmp_path / "meta"


def refuses(meta, message):
    with pytest.raises(CheckpointError, match=message):
        convert(meta, meta.with_name("out"))
    assert not list(meta.with_name("out").glob("*"))


def test_incomplete_directories_are_named(meta):
    record = json.loads((meta / "params.json").read_text())
    (meta / "params.json").unlink()
    refuses(meta, r"neither and a \.metadata; Meta's layout has params\.json")
    (meta / "params.json").write_text("{")
    refuses(meta, r"params\.json is not JSON")
    record["model"]["flash"] = True
    (meta / "params.json").write_text(json.dumps(record))
    refuses(meta, r"params\.json: model has unknown fields: flash")
    (meta / "config.json").write_text("{}")
    refuses(meta, r"both params\.json and config\.json")


def test_damaged_files_are_named(meta):
    part = meta / "__0_0.distcp"
    data = part.read_bytes()
    part.write_bytes(data[:-500])
    refuses(meta, r"__0_0\.distcp is missing or cut short")
    part.unlink()
    refuses(meta, r"__0_0\.distcp is missing")
    part.write_bytes(bytes(len(data)))
    refuses(meta, r"meta: model\..* cannot be read")
    part.write_bytes(data)
    metadata = (meta / ".metadata").read_bytes()
    noise = [metadata[:i] + b"\xcc" + metadata[i + 1 :] for i in range(0, 400, 7)]
    for bad in (b"", metadata[: len(metadata) // 2], b"no pickle", *noise):
        (meta / ".metadata").write_bytes(bad)
        refuses(meta, r"\.metadata is damaged|do not fit|is missing or cut short")
    (meta / ".metadata").unlink()
    refuses(meta, r"\.metadata is missing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 5, "layer_types": ()}, r"9 unknown: layers\.5\.attention\.wk"),
        ({"num_hidden_layers": 7, "layer_types": ()}, r"9 missing: layers\.6\.attention\.wk"),
        ({"vocab_size": 300}, r"2 misshaped: output\.weight \(320, 32\), not \(300, 32\)"),
    ],
)
def test_weights_that_do_not_fit_the_params(meta, change, message):
    (meta / "params.json").write_text(json.dumps(to_params(replace(CONFIG, **change))))
    refuses(meta, message)


def test_mixed_dtypes_need_a_choice(tmp_path):
    state = {meta_name(name): tensor for name, tensor in build().state_dict().items()}
    state["norm.weight"] = state["norm.weight"].bfloat16()
    dcp.save({"model": state}, checkpoint_id=tmp_path / "meta", no_dist=True)
    (tmp_path / "meta" / "params.json").write_text(json.dumps(to_params(CONFIG)))
    refuses(tmp_path / "meta", r"mixes torch\.bfloat16 and torch\.float32; .* --dtype")
    convert(tmp_path / "meta", tmp_path / "out", torch.float16)
    assert load_pretrained(tmp_path / "out").lm_head.weight.dtype == torch.float16


def test_conversion_holds_a_layer_at_a_time(tmp_path):
    size = copies.save(tmp_path / "hf")
    folders = (tmp_path / "meta", tmp_path / "back")
    assert extra_memory(copies.converting, tmp_path / "hf", *folders) < 0.6 * size
    theirs, ours = (folder / "model.safetensors" for folder in (tmp_path / "hf", folders[1]))
    assert theirs.read_bytes() == ours.read_bytes()
