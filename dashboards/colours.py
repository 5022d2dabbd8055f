"""The colours: the palette of Okabe and Ito, which colour-blind people tell apart, and what each of them stands for."""

from typing import Final

ORANGE: Final = "#E69F00"
SKY: Final = "#56B4E9"
GREEN: Final = "#009E73"
YELLOW: Final = "#F0E442"
BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
PURPLE: Final = "#CC79A7"
GREY: Final = "#999999"  # the palette's black, which a dark theme swallows
PALETTE: Final = (ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE, GREY)

CHANNELS: Final = {
    "whatsapp": GREEN,
    "chat-web": SKY,
    "facebook": BLUE,
    "instagram": PURPLE,
    "telegram": YELLOW,
    "sms_bidirect": ORANGE,
    "email": VERMILLION,
    "twitter": GREY,
}
CHANGES: Final = {"removed": VERMILLION, "rerouted": ORANGE, "renamed": SKY, "added": GREEN}
LISTS: Final = {"connectors": SKY, "routing_points": ORANGE, "token_info": PURPLE}
