"""A learner in plain PyTorch: what the ZeRO-3 one is compared with."""

import torch

from model.checkpoint import load_pretrained


class Alone:
    data_rank, data_size = 0, 1

    def shard(self, micro):
        return micro


class TorchLearner:
    rank, world, device, parallel = 0, 1, torch.device("cpu"), Alone()

    def __init__(self, checkpoint, settings):
        self.model = load_pretrained(checkpoint).train()
        self.config = self.model.config
        self.clip = settings.clip_grad_norm
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), betas=settings.betas, weight_decay=settings.weight_decay
        )

    def log_probs(self, micro, temperature):
        return -self.model(
            micro.ids, micro.packing, micro.labels, reduction="none", temperature=temperature
        )

    def backward(self, loss, *, last):
        loss.backward()

    def step(self, learning_rate):
        self.optimizer.param_groups[0]["lr"] = learning_rate
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(norm)

    def total(self, values):
        return list(values)

    def state_dict(self):
        return self.model.state_dict()
