"""Who plays which role in a run: from settings to advisor, teacher, judge and customer.

Knows how roles are made of models and of a domain; opens no model itself (`open_client` is given) and books nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from strategist.agent import agent_for
from strategist.domains.domain import Domain
from strategist.errors import SettingsError
from strategist.models.client import ModelClient
from strategist.records.chat import RoleName
from strategist.roles.customer import LLMCustomer
from strategist.roles.handbook import HandbookAdvisor
from strategist.roles.judge import LLMJudge, family_of
from strategist.roles.protocols import Actor, Advisor, Customer
from strategist.roles.scripted_customer import ScriptedCustomer
from strategist.roles.teacher import LLMTeacher
from strategist.settings import ModelSettings, Settings


@dataclass(frozen=True)
class Cast:
    """The roles of one run. `open_client` opens a recorded model in a role, `notify` is told what people should know."""

    settings: Settings
    domain: Domain
    open_client: Callable[[ModelSettings, RoleName], ModelClient]
    notify: Callable[[str], None]

    def advisor(self) -> tuple[Advisor, Actor | None]:
        """Who writes lines, and who acts as the teacher: nobody with a handbook. Raises SettingsError."""
        advisor, domain = self.settings.advisor, self.domain
        if advisor.kind == "handbook":
            if not domain.handbook:
                hint = 'set [advisor] kind = "model": a teacher that writes the lines'
                raise SettingsError(f"{domain.name} has no checks with advice, so its handbook is empty", hint=hint)
            return HandbookAdvisor(domain, max_lines=advisor.max_lines), None
        model = required(advisor.model, "advisor")
        chat = self.open_client(model, "teacher")
        teacher = LLMTeacher(chat, domain, max_lines=advisor.max_lines, actor=agent_for(chat, domain, model, None))
        return teacher, teacher

    def judge(self) -> LLMJudge | None:
        """Who compares replies; None where checks do. Raises SettingsError where neither can."""
        domain, judge, advisor = self.domain, self.settings.judge, self.settings.advisor
        if not domain.unchecked:
            return None
        if judge.kind == "none":
            if domain.checks:
                return None  # what is forbidden is all that is looked at
            hint = 'set [judge] kind = "model" and [judge.model], or write checks'
            raise SettingsError(f"{domain.name} has no checks: nothing tells a good reply from a poor one", hint=hint)
        model = required(judge.model, "judge")
        family = family_of(model_name(model))
        if advisor.model is not None and family == family_of(model_name(advisor.model)):
            self.notify(
                f"the judge {model_name(model)} is of the teacher's family ({family}), and judges favour their own: take one of another "
                "family, and have its verdicts checked (`strategist judge label`)"
            )
        return LLMJudge(self.open_client(model, "judge"), domain)

    def customer(self) -> Customer:
        """Who plays the customer."""
        customer, language = self.settings.customer, self.domain.language
        if customer.kind == "model":
            return LLMCustomer(self.open_client(required(customer.model, "customer"), "customer"), language=language)
        return ScriptedCustomer(language)


def model_name(settings: ModelSettings) -> str:
    """The identity a model of these settings has in call keys and evidence, without opening it."""
    if settings.adapter == "embedded":
        return f"embedded:{settings.path.name if settings.path else settings.model}"
    return f"{settings.adapter}:{settings.model}"


def required(model: ModelSettings | None, role: str) -> ModelSettings:
    """The model that a role needs. Raises SettingsError where there is none."""
    if model is None:
        raise SettingsError(f'[{role}] kind = "model" needs a model', hint=f"add a section [{role}.model] with model and base_url")
    return model
