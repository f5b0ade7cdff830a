"""All reference models by name."""

import make_audio
import make_conv1d
import make_decoder
import make_face
import make_joint
import make_mobile
import make_text
import make_tiny
import make_vision
from spec import Spec

_FAMILIES = (
    make_tiny,
    make_conv1d,
    make_audio,
    make_mobile,
    make_vision,
    make_face,
    make_text,
    make_joint,
    make_decoder,
)

SPECS: dict[str, Spec] = {
    spec.name: spec for family in _FAMILIES for spec in family.SPECS
}
