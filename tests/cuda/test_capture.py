"""Recorded steps: the same bits as other steps, and errors for what a recording cannot do."""

import copy
import json

import numpy as np
import pytest
from shim import cupy_standin
from tinygen_kernels import precision

from benchmarks.peers.tinygen_gpu import CuPyCard
from tests.cuda.test_models import BY_NAME, pair
from tests.models.cases import each
from tests.training.toys import Noisy, images, stage, tiny, trainer, whole_state
from tinygen import Random, Tensor, hooks, nn, ops, optim
from tinygen.backend import Recording, to_device
from tinygen.models import Phase, Stage
from tinygen.training import Callback, TrainingError, fit, losses
from tinygen.training.capture import Captured
from tinygen.training.progress import Progress

pytestmark = pytest.mark.usefixtures("card")


class Batches(nn.Module):
    """A module with all that changes from step to step: noise, dropout, running moments."""

    def __init__(self):
        rng = Random(0)
        self.noisy, self.norm = Noisy(), nn.BatchNorm(36)
        self.dense = nn.Dense(36, 36, rng=rng)

    def loss(self, x, *, rng):
        y = self.norm(ops.reshape(self.noisy.net(x, rng=rng), (-1, 36)))
        return ops.mse(ops.reshape(self.dense(y), x.shape), x)

    def measures(self, x, *, rng):
        return {"loss": self.loss(x, rng=rng).item()}


def on_card(model):
    return model.to(device="cuda")


def run(capture, model=None, **options):
    """A trainer at its end: three epochs of four full batches and a smaller one."""
    model = on_card(Batches() if model is None else model)
    made = trainer(model, optimizer="adam", clip_norm=1.0, capture=capture, **options)
    made.train()
    return made


def recordings(trainer):
    """What was recorded of the phases of a trainer's stage."""
    return [p.captured for p in trainer.train_step.phases if p.captured is not None]


def test_replays_are_the_same_bits():
    eager, replayed = run(False), run(True)
    assert whole_state(replayed) == whole_state(eager)
    (captured,) = recordings(replayed)
    assert [len(r.inputs[0]) for r in captured._recorded.values()] == [8, 6]  # shapes of batches
    assert not recordings(eager)


@each(*BY_NAME)
def test_every_model_is_recorded(case):
    ends = []
    for capture in (False, True):
        model = copy.deepcopy(pair(case)[1])
        history = fit(
            model, *case.arrays(20), epochs=5, batch_size=4, capture=capture, verbose=False
        )
        ends.append((history.rows, [p.numpy().tobytes() for p in model.parameters()]))
    assert ends[0] == ends[1]


def test_a_run_that_goes_on_records_anew():
    class Halfway(Callback):
        def on_step(self, trainer, losses):
            if trainer.step == 9:
                arrays, meta = trainer.state()
                self.state = arrays, json.loads(json.dumps(meta))

    halfway = Halfway()
    whole = run(True, callbacks=[halfway])
    model = on_card(Batches())
    again = trainer(model, optimizer="adam", clip_norm=1.0, callbacks=[halfway])
    again.load_state(*halfway.state)
    again.train()
    assert whole_state(again) == whole_state(whole)


def test_phases_are_recorded_each():
    """Two networks that learn from each other, as in a GAN."""
    ends = []
    for capture in (False, True):
        model = Batches()
        model.other = nn.Dense(36, 1, rng=Random(5))
        on_card(model)

        def judge(x, *, rng, model=model):
            made = model.noisy.net(x, rng=rng).detach()
            real, fake = (model.other(ops.reshape(y, (-1, 36))) for y in (x, made))
            return ops.mean(ops.softplus(fake) + ops.softplus(-real))

        def make(x, *, rng, model=model):
            return ops.mean(
                ops.softplus(-model.other(ops.reshape(model.noisy.net(x, rng=rng), (-1, 36))))
            )

        phases = Phase("judge", model.other, judge), Phase("make", model.noisy, make)
        stages = Stage("train", phases, epochs=2)
        made = trainer(model, stages, valid=[], capture=capture, optimizer="rmsprop")
        made.train()
        ends.append(whole_state(made))
        assert len(recordings(made)) == 2 * capture
    assert ends[0] == ends[1]
    assert {"judge_loss", "make_loss"} <= ends[0][1]["rows"][0].keys()


def captured_step(net, compute):
    """A Captured, past its rehearsals."""
    captured = Captured(compute, net.parameters())
    x = to_device(np.ones((2, 3), np.float32), "cuda")
    for step in range(2):
        captured(x, step=step)
    return lambda step: captured(x, step=step)


def test_what_is_read_by_each_replay():
    net = on_card(nn.Dense(3, 1, rng=Random(0)))

    def compute(x, *, step):
        net.zero_grad()
        loss = ops.mean(net(ops.dropout(x, 0.5, rng=Random(1, device="cuda").at(step))))
        loss.backward()
        return {"loss": loss}

    optim.SGD(net)  # gathers parameters
    step = captured_step(net, compute)
    for number in (2, 3, 4, 2):
        replayed = step(number)["loss"].item()
        gradients = [p.grad.numpy() for p in net.parameters()]
        expected = compute(to_device(np.ones((2, 3), np.float32), "cuda"), step=number)
        assert replayed == expected["loss"].item()
        for p, g in zip(net.parameters(), gradients, strict=True):
            np.testing.assert_array_equal(p.grad.numpy(), g)
        net.weight.data[...] = net.weight.data * 2  # in place: the recording sees it
    values = step(5)
    net.weight.data = net.weight.data.copy() * 3  # another array: it is recorded anew
    assert step(5) is not values
    net.freeze()
    with pytest.raises(RuntimeError, match="does not depend on anything"):
        step(5)


def test_a_recording_that_ends_gives_its_memory_back(card, monkeypatch):
    class Pool(card.cuda.MemoryPool):
        def free_all_blocks(self, stream=None):
            ends.append(stream)
            super().free_all_blocks()

    ends = []
    monkeypatch.setattr(card.cuda, "MemoryPool", Pool)
    recording = Recording()
    recording.rehearse(lambda: card.zeros(3))
    assert not ends
    del recording
    assert ends == [None]


def test_what_a_benchmark_times_is_recorded():
    x = to_device(np.ones(3), "cuda")

    def count():
        x[...] = x + 1

    again = CuPyCard().recorded(count)
    before = Tensor(x).numpy()  # after two rehearsals; the recording itself does nothing
    for _ in range(3):
        again()
    np.testing.assert_array_equal(before, 3.0)
    np.testing.assert_array_equal(Tensor(x).numpy(), 6.0)


def test_many_arrays_are_joined_in_a_recording():
    net = on_card(nn.Dense(3, 1, rng=Random(0)))

    def compute(x, *, step):
        net.zero_grad()
        parts = [net(x) * float(i) for i in range(20)]
        loss = ops.mean(ops.stack(parts, 1) ** 2)
        loss.backward()
        return {"loss": loss}

    loss = captured_step(net, compute)(2)["loss"].item()
    assert loss == compute(to_device(np.ones((2, 3), np.float32), "cuda"), step=2)["loss"].item()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda loss, x: loss.item(), "a value was read"),
        (lambda loss, x: loss.numpy(), "a value was read"),
        (lambda loss, x: float(loss), "a value was read"),
        (lambda loss, x: bool(loss > 0), "a value was read"),
        (lambda loss, x: str(loss), "a value was read"),
        (
            lambda loss, x: Tensor(x) * np.ones(3, np.float32),
            r"an array \(3,\) of the CPU was used",
        ),
        (lambda loss, x: ops.dropout(x, 0.5), "pass rng= on"),
        (lambda loss, x: Random(0, device="cuda").normal((3,)), "pass rng= on"),
    ],
)
def test_what_a_recording_cannot_do(spoil, message):
    net = on_card(nn.Dense(3, 1, rng=Random(0)))

    def compute(x, *, step):
        loss = ops.mean(net(x))
        loss.backward()
        spoil(loss, x)
        return {"loss": loss}

    step = captured_step(net, compute)
    with pytest.raises(RuntimeError, match=message):
        step(2)
    assert (net(np.ones((2, 3), np.float32)) > -100).numpy().all()  # and all is well afterwards


def test_on_the_cpu_and_under_hooks_it_is_just_called():
    def compute(x, *, step):
        calls.append(step)
        return {"loss": ops.mean(net(x))}

    for device in ("cpu", "cuda"):
        calls, net = [], nn.Dense(3, 1).to(device=device)
        captured = Captured(compute, net.parameters())
        with hooks.Timer():
            for step in range(4):
                captured(to_device(np.ones((2, 3), np.float32), device), step=step)
        assert calls == [0, 1, 2, 3]


def said(make, **options):
    lines = []
    progress = Progress(False)
    progress.log = lines.append
    make(progress=progress, **options)
    return [line for line in lines if "not recorded" in line]


def test_it_is_said_when_steps_are_not_recorded():
    def make(**options):
        return run(options.pop("capture", True), **options)

    assert said(make) == said(make, capture=False) == []
    (line,) = said(make, accumulate=2)
    assert line == (
        "steps are not recorded for the card, because gradients of several batches are averaged"
    )
    with hooks.NaNFinder():
        (line,) = said(make)
    assert line == "steps are not recorded for the card, because hooks are at work"


def test_losses_are_read_together(monkeypatch):
    reads = []
    read = losses.Losses.read

    def counting(self):
        figures = read(self)
        reads.append(len(figures))
        return figures

    monkeypatch.setattr(losses.Losses, "read", counting)
    waits = []
    monkeypatch.setattr(cupy_standin, "_wait", waits.append)
    model = on_card(Batches())
    x = images(8 * (losses.STEPS + 7))
    made = trainer(model, stage(model, epochs=1), arrays=[x], valid=[], clip_norm=1.0)
    del waits[:]
    made.train()
    assert set(waits) <= {"get", "synchronize"}
    assert waits.count("get") <= 2  # and else only to record
    assert [n for n in reads if n] == [losses.STEPS, 7]
    assert made.rows[0]["loss"] > 0


def test_a_loss_that_is_no_number_is_found_with_its_step():
    class Breaks(Batches):
        def loss(self, x, *, rng):
            loss = super().loss(x, rng=rng)
            return loss / ops.where(ops.max(x) > 5.0, 0.0, 1.0).astype("float32")

    model = on_card(Breaks())
    x = images(40)
    trap = copy.deepcopy(x)
    order = trainer(model, stage(model), arrays=[x]).loader.order(0)
    trap[order[3 * 8 + 2]] = 6.0  # is in the fourth batch
    made = trainer(model, stage(model), arrays=[trap], valid=[])
    with pytest.raises(TrainingError, match="loss of phase 'train' became inf in epoch 1, step 4"):
        made.train()


def test_the_precision_is_in_force(monkeypatch):
    seen = set()

    class Looks(Batches):
        def loss(self, x, *, rng):
            seen.add(precision.current())
            return super().loss(x, rng=rng)

    run(True, Looks(), precision="tf32")
    assert seen == {"tf32"}
    assert precision.current() == "float32"
    with pytest.raises(ValueError, match="for device 'cuda'"):
        fit(tiny(), images(), precision="tf32")
