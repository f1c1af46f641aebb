"""Name pools: US given and family names of many origins, plain ASCII, so that emails fit.

They are kept here rather than drawn from faker, whose lists change from version to version:
user 7 must stay the same person.
"""

from __future__ import annotations

__all__ = ["ACCOUNT_NAMES", "FAMILY_NAMES", "GIVEN_NAMES"]

_GIVEN_NAMES = """
Aaliyah Aaron Abigail Adam Adriana Aiden Aisha Alan Alejandro Alexa Alice Alicia Amara Amir Ana
Andre Andrea Angela Anthony Antonio Aria Arjun Ashley Audrey Austin Ava Beatriz Benjamin Beth
Brandon Brian Brianna Caleb Camila Carlos Carmen Caroline Carter Catherine Charles Chloe Christina
Claire Connor Daniel Daniela Darius David Deborah Denise Derek Diana Diego Dominic Eduardo Elena
Elijah Elizabeth Emily Emma Eric Esther Ethan Eva Evelyn Fatima Felix Fernando Fiona Francesca
Gabriel Gabriela George Grace Grant Hannah Harold Hassan Helen Henry Hiroshi Ian Imani Irene Isaac
Isabel Ivan Jack Jacob Jada James Jamal Janet Jasmine Javier Jenna Jessica Jin Joanna John
Jonathan Jordan Jorge Joseph Joshua Juan Julia Julian Kai Karen Katherine Kayla Keisha Kenji Kevin
Kiara Kyle Lakshmi Laura Lauren Layla Leah Leonard Leticia Liam Lillian Linda Logan Lucas Lucia
Luis Luna Madison Malik Marco Margaret Maria Mariana Marcus Mark Martin Mason Matthew Maya Mei
Melissa Michael Michelle Miguel Mohammed Monica Nadia Naomi Natalie Nathan Nia Nicholas Nicole
Nina Noah Nora Oliver Olivia Omar Oscar Owen Pablo Patricia Patrick Paul Pedro Penelope Peter
Priya Rachel Rafael Raj Rebecca Ricardo Richard Robert Rosa Ruth Ryan Samantha Samuel Sandra Sara
Scott Sean Sebastian Sergio Shanice Simone Sofia Sophie Stella Stephen Steven Susan Tamika Tara
Teresa Theo Theresa Thomas Tiffany Tyler Valentina Vanessa Veronica Victor Victoria Vincent Violet
Walter Wei Wendy William Xavier Yara Yasmin Yolanda Yusuf Zachary Zoe
"""
_FAMILY_NAMES = """
Adams Aguilar Ahmed Alexander Ali Allen Alvarez Anderson Andrews Armstrong Bailey Baker Banks
Barnes Becker Bell Bennett Black Boyd Bradley Brooks Brown Bryant Burke Burns Butler Campbell
Carlson Carpenter Carroll Carter Castillo Castro Chan Chavez Chen Choi Clark Cohen Coleman Collins
Cook Cooper Cox Crawford Cruz Cunningham Daniels Davis Delgado Desai Diaz Dixon Doyle Duncan
Edwards Ellis Evans Ferguson Fernandez Fisher Fleming Flores Ford Foster Fox Franklin Freeman
Fuentes Garcia Gardner Gibson Gomez Gonzalez Gordon Graham Grant Gray Greene Griffin Guerrero
Gupta Gutierrez Hall Hamilton Hansen Harper Harris Harrison Hart Hayes Henderson Henry Hernandez
Herrera Hicks Hill Hoffman Holmes Howard Huang Hughes Hunt Hunter Ibrahim Jackson Jacobs James
Jenkins Jensen Jimenez Johnson Johnston Jones Jordan Joseph Kaplan Kelly Kennedy Khan Kim King
Klein Knight Kumar Lam Lane Larson Lawrence Lee Lewis Lin Lopez Luna Lynch Maldonado Marshall
Martin Martinez Mason Mayer Mcdonald Medina Mehta Mendoza Meyer Miller Mills Mitchell Molina
Montgomery Moore Morales Moreno Morgan Morris Morrison Murphy Murray Myers Navarro Nelson Newman
Nguyen Nichols Nunez Obrien Okafor Oliver Olson Ortega Ortiz Osborne Owens Palmer Park Parker
Patel Patterson Payne Pena Perez Perkins Perry Peters Peterson Pham Phillips Pierce Porter Powell
Price Quinn Ramirez Ramos Ramsey Reed Reyes Reynolds Rice Richardson Riley Rios Rivera Roberts
Robertson Robinson Rodriguez Rogers Romero Rose Ross Ruiz Russell Ryan Salazar Sanchez Sanders
Santiago Santos Schmidt Schultz Scott Sharma Shaw Silva Simmons Simpson Singh Smith Snyder Soto
Spencer Stephens Stevens Stewart Stone Sullivan Suzuki Takahashi Tanaka Taylor Thomas Thompson
Torres Tran Tucker Turner Vargas Vasquez Vega Wagner Walker Wallace Walsh Wang Ward Warren
Washington Watson Weaver Webb Weber Wells West Wheeler White Williams Willis Wilson Wong Wood
Woods Wright Wu Yamamoto Yang Young Zhang Zimmerman
"""
GIVEN_NAMES: tuple[str, ...] = tuple(_GIVEN_NAMES.split())
FAMILY_NAMES: tuple[str, ...] = tuple(_FAMILY_NAMES.split())
ACCOUNT_NAMES: dict[str, tuple[str, ...]] = {
    "checking": ("Everyday Checking", "Premier Checking", "Student Checking", "Joint Checking"),
    "savings": ("High-Yield Savings", "Emergency Fund", "Rainy Day Savings", "Vacation Savings"),
    "credit_card": ("Cash Back Card", "Travel Rewards Card", "Platinum Card", "Low Rate Card"),
}
