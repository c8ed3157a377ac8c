"""The settings of a training. Free of torch: commands that train nothing read it too."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from cropmap.provenance import value_hash
from cropmap.schemas import Architecture


@dataclass(frozen=True)
class TrainingConfig:
    architecture: Architecture = Architecture.TRANSFORMER
    width: int = 128
    """channels of the network; with 64 the LSTM loses rare crops (3,851 real parcels: macro-F1 .70 instead of .73)"""
    layers: int = 2
    heads: int = 4
    """attention heads, of the Transformer's layers and of the pooling over time"""
    dropout: float = 0.2
    indices: bool = True
    """give spectral indices to the network beside the bands"""
    bidirectional: bool = False
    """LSTM only: read the season both ways (a third slower in both training and prediction)"""
    members: int = 1
    """networks that are trained side by side and averaged"""

    epochs: int = 25
    min_steps: int = 600
    """few parcels need more passes: at least this many optimiser steps"""
    max_steps: int = 20_000
    """many parcels need fewer passes"""
    batch_size: int = 32
    learning_rate: float | None = None
    """peak of the schedule: linear warm-up, then cosine to zero. None takes LEARNING_RATE of the network"""
    warmup_share: float = 0.1
    weight_decay: float = 0.05
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    """a smoothed label puts a floor under every probability, and below it wrong declarations cannot be told apart"""
    logit_adjustment: float = 0.0
    """tau of Menon et al. 2021 (arXiv:2007.07314): 1 trains for balanced accuracy, 0 leaves the class shares alone"""

    drop_rate: float = 0.5
    """augmentation: the parcels of a batch lose a random share of their dates, up to this one"""
    shift_days: float = 5.0
    """augmentation: standard deviation of a shift of the whole calendar (earlier and later springs)"""
    cloud_rate: float = 0.02
    """augmentation: share of observations that get an undetected cloud"""
    truncate_rate: float = 0.15
    """augmentation: share of the parcels whose series ends on a random day, so that a season that is still under way
    is a legal input. Twice as many cost the full season .005 and gain .003 on 15 June (3,851 real parcels)"""

    validation_share: float = 0.1
    """part of the training parcels, whole holdings, that decides when to stop"""
    min_validation_parcels: int = 500
    """below, the part is worth more as training: then the whole schedule runs on every parcel (measured on 3,100
    training parcels with classes of 30: macro-F1 .68 instead of .63)"""
    max_validation_parcels: int = 5_000
    """enough to see the loss turn; a tenth of a large agency would take as long to look at as to train on"""
    evaluations: int = 30
    """how often the loss is written down and the validation part is looked at"""
    patience: int = 8
    """stop after this many evaluations without a better validation loss"""

    @property
    def hash(self) -> str:
        return value_hash(asdict(self))
